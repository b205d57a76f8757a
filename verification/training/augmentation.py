"""Random changes of a clip that leave its class as it is, so that a few videos teach more."""

from dataclasses import dataclass

import cv2
import numpy as np

from verification.training.sampled import Frames


@dataclass(frozen=True)
class Augmentation:
    """`crop`: the least share of each side that a random window keeps, before it is resized to the whole.

    `brightness`: the most by which it is changed, as a share of white; contrast changes by as much. `jitter`: whether a
    clip may begin up to a third of a sampling step earlier or later. `flip`: whether left and right may be exchanged, which
    classes that are a direction do not survive.
    """

    crop: float = 0.85
    brightness: float = 0.15
    jitter: bool = True
    flip: bool = False


def augmented(clips: Frames, augmentation: Augmentation, rng: np.random.Generator) -> Frames:
    """One clip (l, h, w, 3) made at random of those of a video (shifts, l, h, w, 3); the same change for all frames."""
    clip = clips[int(rng.integers(len(clips)))] if augmentation.jitter else clips[0]
    clip = _cropped(clip, rng.uniform(augmentation.crop, 1.0), rng)
    if augmentation.flip and rng.random() < 0.5:
        clip = np.ascontiguousarray(clip[:, :, ::-1])
    contrast = 1 + rng.uniform(-1, 1) * augmentation.brightness
    shift = 255 * rng.uniform(-1, 1) * augmentation.brightness
    changed: Frames = np.clip(clip * np.float32(contrast) + np.float32(shift), 0, 255).astype(np.uint8)
    return changed


def _cropped(clip: Frames, share: float, rng: np.random.Generator) -> Frames:
    """A window of that share of each side at a random place, resized to the size of the whole."""
    height, width = clip.shape[1:3]
    rows, columns = max(1, round(share * height)), max(1, round(share * width))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    window = clip[:, top : top + rows, left : left + columns]
    return np.stack([np.asarray(cv2.resize(frame, (width, height)), np.uint8) for frame in window])
