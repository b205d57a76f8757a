"""What a video can be: a sequence of pictures that tells its number, rate and size. A kind of file is one class."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verification.engine.errors import ClipError

#: (height, width, 3) RGB: uint8, or float32 in [0, 1].
Picture = NDArray[np.uint8] | NDArray[np.float32]

#: Limits against absurd input, far above what a classifier takes.
MAX_VIDEO_SIDE = 8192
MAX_VIDEO_FRAMES = 216_000


@dataclass(frozen=True)
class VideoInfo:
    """What a video really holds: `frames` counts those that can be decoded; `fps` 0 where no rate is known; sizes in pixels."""

    frames: int
    fps: float
    height: int
    width: int
    sha256: str


class Source(ABC):
    """A video at `path`. Both methods raise ClipError with the name of the file and what to do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def info(self) -> VideoInfo:
        """Go through the whole video, keep nothing, and describe it. At least two frames, of a sensible size."""

    @abstractmethod
    def pictures(self, numbers: Sequence[int]) -> Iterator[Picture]:
        """The frames with these increasing numbers, counted from 0, one at a time."""

    def described(self, frames: int, fps: float, height: int, width: int) -> VideoInfo:
        """What was found, unless it is too little or too large to be of use."""
        check_side(self.path.name, height, width)
        check_count(self.path.name, frames)
        if frames == 1:
            raise ClipError(f"{self.path.name} has a single frame; there is no optical flow without two")
        return VideoInfo(frames, fps, height, width, self.sha256())

    def sha256(self) -> str:
        """Of the file."""
        return file_sha256(self.path)


def eight_bits(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """A picture with whole values from 0 to 255, rounded where they are finer."""
    values = picture if picture.dtype == np.uint8 else np.round(picture * 255)
    return values.astype(np.uint8, copy=False)


def check_side(name: str, height: float, width: float) -> None:
    """Raise ClipError for frames larger than anything sensible."""
    if max(width, height) > MAX_VIDEO_SIDE:
        raise ClipError(
            f"{name} has frames of {height:.0f}x{width:.0f} pixels; the most is {MAX_VIDEO_SIDE} a side: scale it down"
        )


def check_count(name: str, frames: int) -> None:
    """Raise ClipError for more frames than anything sensible."""
    if frames > MAX_VIDEO_FRAMES:
        raise ClipError(f"{name} has more than {MAX_VIDEO_FRAMES} frames; cut out the part that matters")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
