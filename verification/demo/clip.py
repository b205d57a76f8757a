"""Videos for the demo and for the benchmarks: the virtual camera over footage that training never saw."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from verification.demo.camera import Frames, Movement, Shot, film
from verification.demo.dataset import LENGTH, SIZE, random_clip, testing_source
from verification.demo.footage import fetch_footage

#: Frames a second of the written videos.
_RATE = 10.0

#: A pan to the right over the passenger of the car, at ordinary speed, through a slightly soft lens.
DEMO_SHOT = Shot(Movement.PAN_RIGHT, first=20, step=1, window=84.0, speed=2.0, place=(0.5, 0.4), softness=1.0)


def demo_video(directory: Path) -> Path:
    """The video of the demo, written into `directory` next to the footage, which is fetched if it is not there.

    Eight frames of 64x64, lossless, the same bytes every time. Raises FootageError.
    """
    path = directory / "demo-pan-right.avi"
    source = testing_source(fetch_footage(directory))
    write_video(path, film(source.frames, DEMO_SHOT, length=LENGTH, size=SIZE))
    return path


def write_test_videos(directory: Path, count: int, seed: int = 7) -> Iterator[tuple[Path, Movement]]:
    """Write `count` more such videos, the movements in turn, and yield each with its movement. Raises FootageError."""
    source = testing_source(fetch_footage(directory))
    rng = np.random.default_rng(seed)
    for number in range(count):
        movement = list(Movement)[number % len(Movement)]
        path = directory / f"test-{seed}-{number + 1:03d}-{movement.value.replace(' ', '-')}.avi"
        write_video(path, random_clip(rng, source, movement))
        yield path, movement


def write_video(path: Path, frames: Frames) -> None:
    """Write (l, h, w, 3) RGB frames without loss (FFV1 in AVI); the file appears whole or not at all."""
    height, width = frames.shape[1:3]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        draft = Path(scratch) / path.name
        code = cv2.VideoWriter.fourcc(*"FFV1")
        writer = cv2.VideoWriter(str(draft), cv2.CAP_FFMPEG, code, _RATE, (width, height))
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
        draft.replace(path)
