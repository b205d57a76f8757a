"""From a video to the clip: one pass that counts, one that keeps the sampled frames only, so memory stays bounded."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from verification.engine.clip.clip import Clip
from verification.engine.clip.part import WHOLE, Part
from verification.engine.clip.sampling import build_sampling
from verification.engine.clip.sources import VideoInfo, eight_bits, open_source
from verification.engine.errors import ClipError

#: Limits against absurd wishes, far above what a classifier takes.
MIN_SIDE, MAX_SIDE = 8, 1024
MAX_CLIP_VALUES = 2**27


def probe_video(path: str | Path) -> VideoInfo:
    """Decode the whole video once, keeping nothing, and describe it.

    `path`: whatever `open_source` recognises. Raises ClipError for a missing file, one that is no video, one that ends early, one
    with fewer than two frames or of an absurd size.
    """
    return open_source(path).info()


def sampled_frames(info: VideoInfo, frames: int, sampling: str = "uniform", part: Part = WHOLE) -> list[int]:
    """Which `frames` of a video's frames make the clip, counted from 0, when `part` of it is sampled by the rule `sampling`.

    Raises ClipError.
    """
    numbers = part.within(info.frames)
    return [numbers[i] for i in build_sampling(sampling).indices(len(numbers), frames, info.fps)]


def read_clip(
    path: str | Path,
    *,
    frames: int,
    size: tuple[int, int],
    sampling: str = "uniform",
    part: Part = WHOLE,
    name: str | None = None,
) -> Clip:
    """Sample `frames` frames of `part` of a video and resize each once to `size` = (height, width) with cv2.resize.

    `sampling`: see `clip.sampling`. `name`: what people call the video, else its file name. The clip's frames are
    (l, 3, h, w) float32 RGB in [0, 1]. Raises ClipError as `probe_video`, and when the video is too short.
    """
    _check_wanted(frames, size)
    build_sampling(sampling)  # a mistake is better told before the video is decoded
    path = Path(path)
    source = open_source(path)
    info = source.info()
    numbers = sampled_frames(info, frames, sampling, part)
    height, width = size
    values = np.empty((frames, height, width, 3), dtype=np.float32)
    for slot, picture in enumerate(source.pictures(numbers)):
        resized = cv2.resize(picture, (width, height))
        # The type tells the scale: float pictures are not rounded, and not divided either.
        values[slot] = resized.astype(np.float32) / np.float32(255) if resized.dtype == np.uint8 else resized
    tensor = torch.from_numpy(values).permute(0, 3, 1, 2).contiguous()
    return Clip(tensor, name or path.name, info.sha256, tuple(number + 1 for number in numbers))


def resized_frames(path: str | Path, numbers: Sequence[int], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """The frames with these increasing numbers (from 0), each resized once to `size` = (height, width), RGB. Raises ClipError."""
    height, width = size
    for picture in open_source(path).pictures(numbers):
        yield eight_bits(cv2.resize(picture, (width, height)))


def _check_wanted(frames: int, size: tuple[int, int]) -> None:
    height, width = size
    if frames < 2:
        raise ClipError(f"a clip needs at least 2 frames, not {frames}: flow lies between two frames")
    if not (MIN_SIDE <= height <= MAX_SIDE and MIN_SIDE <= width <= MAX_SIDE):
        raise ClipError(f"the clip's size must be {MIN_SIDE} to {MAX_SIDE} pixels a side, not {height}x{width}")
    if frames * height * width * 3 > MAX_CLIP_VALUES:
        raise ClipError(f"a clip of {frames} frames of {height}x{width} is too large; take fewer or smaller frames")
