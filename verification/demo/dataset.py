"""Clips to train and to test on: random takes of the virtual camera, in random colours for training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from verification.demo.camera import LABELS, Frames, Movement, Shot, film, fits
from verification.demo.source import Source, read_source

LENGTH = 8
SIZE = 64
TRAINING, TESTING = ("bikes", "bigbuckbunny"), "carphone"

#: Footage is scaled to these short sides, so that the window of the camera covers more or less of the picture.
_TRAINING_SIDES, _TESTING_SIDE = (144, 216), 144


@dataclass(frozen=True)
class Clips:
    """`frames`: (n, l, 3, h, w) float32 RGB in [0, 1]; `labels`: (n,) indices of `LABELS`."""

    frames: Tensor
    labels: Tensor


def training_sources(footage: dict[str, Path]) -> list[Source]:
    return [read_source(footage[name], short_side=side) for side in _TRAINING_SIDES for name in TRAINING]


def testing_source(footage: dict[str, Path]) -> Source:
    """The footage that training never sees."""
    return read_source(footage[TESTING], short_side=_TESTING_SIDE)


def training_clips(rng: np.random.Generator, sources: Sequence[Source], count: int) -> Clips:
    """`count` random clips of random movements in random colours."""
    frames = np.empty((count, LENGTH, SIZE, SIZE, 3), np.uint8)
    labels = rng.integers(len(LABELS), size=count)
    for i, label in enumerate(labels):
        source = sources[int(rng.integers(len(sources)))]
        clip = random_clip(rng, source, list(Movement)[label])
        frames[i] = cv2.transform(clip.reshape(1, -1, 3), _random_colours(rng)).reshape(clip.shape)
    return _clips(frames, labels)


def testing_clips(source: Source, count: int, seed: int = 20201) -> Clips:
    """`count` clips in their own colours, the movements in turn; the same for the same seed."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(LABELS)
    frames = np.stack([random_clip(rng, source, list(Movement)[label]) for label in labels])
    return _clips(frames, labels)


def random_clip(rng: np.random.Generator, source: Source, movement: Movement) -> Frames:
    """A random take of this movement that fits into one scene of the source."""
    return film(source.frames, _random_shot(rng, source, movement), length=LENGTH, size=SIZE)


def _random_shot(rng: np.random.Generator, source: Source, movement: Movement) -> Shot:
    step = int(rng.choice([-1, 0, 1]))
    needed = LENGTH if step else 1
    scenes = [scene for scene in source.scenes if len(scene) >= needed]
    lengths = np.array([len(scene) for scene in scenes], float)
    scene = scenes[int(rng.choice(len(scenes), p=lengths / lengths.sum()))]
    first = int(rng.integers(scene.start, scene.stop - needed + 1)) + (LENGTH - 1 if step < 0 else 0)
    while True:
        shot = Shot(
            movement=movement,
            first=first,
            step=step,
            window=float(rng.uniform(0.45, 0.75)) * min(source.frames.shape[1:3]),
            speed=0.0 if movement is Movement.STATIC else float(rng.uniform(1.0, 3.0)),
            place=(float(rng.random()), float(rng.random())),
            turns=int(rng.integers(4)),
            mirrored=bool(rng.integers(2)),
            softness=float(rng.uniform(0.0, 1.5)),
        )
        if fits(source.frames, shot, length=LENGTH, size=SIZE):
            return shot


def _random_colours(rng: np.random.Generator) -> NDArray[np.float64]:
    """A (3, 4) map of colours: channels exchanged, saturation, contrast (sometimes negative), brightness and tint."""
    exchange = np.eye(3)[rng.permutation(3)]
    saturation = rng.uniform(0, 1.3)
    contrast = rng.uniform(0.4, 1.5) * (-1 if rng.random() < 0.3 else 1)
    linear = contrast * (saturation * np.eye(3) + (1 - saturation) / 3) @ exchange
    shift = 127.5 - 127.5 * linear.sum(1) + 255 * (rng.uniform(-0.2, 0.2) + rng.uniform(-0.08, 0.08, 3))
    return np.column_stack([linear, shift])


def _clips(frames: Frames, labels: NDArray[np.int64]) -> Clips:
    tensor = torch.from_numpy(frames).permute(0, 1, 4, 2, 3).contiguous().to(torch.float32).div_(255)
    return Clips(tensor, torch.from_numpy(labels.astype(np.int64)))
