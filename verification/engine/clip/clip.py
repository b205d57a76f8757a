"""The clip: what remains of a video after sampling and resizing; all distances are in its pixels."""

from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor


@dataclass(frozen=True)
class Clip:
    """`frames`: (l, 3, h, w) float32 RGB in [0, 1], l >= 2. `name`, `sha256`: of the video file it was read from.

    `numbers`: which frames of the video they are, counted from 1; empty if the clip comes from elsewhere. `mirrored`: `frames`
    show the video's left on the right.
    """

    frames: Tensor
    name: str
    sha256: str
    numbers: tuple[int, ...] = ()
    mirrored: bool = False

    @property
    def length(self) -> int:
        return int(self.frames.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.frames.shape[2]), int(self.frames.shape[3])

    def oriented(self, mirrored: bool) -> Self:
        """The same clip mirrored left to right, or as its video shows it."""
        if mirrored == self.mirrored:
            return self
        return replace(self, frames=self.frames.flip(-1), mirrored=mirrored)
