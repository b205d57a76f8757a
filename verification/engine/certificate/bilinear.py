"""Functions of a displacement that are bilinear between lines of whole pixels, over a rectangle with few such lines inside."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Pixels: a line so near to a side of the rectangle counts as that side.
NEAR = 1e-11
_ROUNDING = 1e-14  # of a position, relative to its size


@dataclass(frozen=True)
class Rectangle:
    """The displacements `place + reach (p, q)` with p, q in [-1, 1]; `place`, `reach` (..., 2), pixels, along x and along y.

    At most one line of each direction may be inside (`lines`).
    """

    place: Tensor
    reach: Tensor

    def lines(self) -> Tensor:
        """(...,): the most lines of one direction inside."""
        first, last = self.place - self.reach + NEAR, self.place + self.reach - NEAR
        return (last.ceil() - first.floor() - 1).amax(-1)

    @property
    def _line(self) -> Tensor:
        """(..., 2): how far the first line above the lower side is from the place."""
        return (self.place - self.reach + NEAR).floor() + 1 - self.place

    @property
    def crosses(self) -> Tensor:
        """(..., 2) bool: whether there is a line inside."""
        return self._line < self.reach - NEAR

    def nodes(self) -> list[Tensor]:
        """(..., 2) each: both sides, and between them the line, or a side again; from the place, pixels.

        Two only where there is no line in any of many rectangles.
        """
        crosses = self.crosses
        line = [torch.where(crosses, self._line, self.reach)] if bool(crosses.any()) else []
        return [-self.reach, *line, self.reach]

    def lost(self, side: int) -> Tensor:
        """(...,): what rounded positions, and lines that count as sides, make of a pixel from 0 to 1 in frames of this size.

        A pixel changes by no more than the displacement along x and along y do, on both sides of every line.
        """
        size = (self.place.abs() + self.reach).amax(-1) + side
        return 16 * (NEAR + _ROUNDING * size)


@dataclass(frozen=True)
class Patch:
    """`middle + across p + down q + twist p q + rest`, where the rest is a mean of the values `inner` at nodes, and of zeros.

    The weights of that mean depend on (p, q) alone. All of one shape, of functions that share their rectangle or not.
    """

    middle: Tensor
    across: Tensor
    down: Tensor
    twist: Tensor
    inner: tuple[Tensor, ...]

    @classmethod
    def through(cls, seen: Sequence[Sequence[Tensor]], nodes: Sequence[Tensor], rectangle: Rectangle) -> "Patch":
        """By the values `seen[i][j]` at nodes i along x and j along y; rectangles (..., 2) broadcast to their shape.

        First the bilinear function through the corners; what is left is zero there.
        """
        (a, b), (c, d) = (seen[0][0], seen[0][-1]), (seen[-1][0], seen[-1][-1])
        middle, twist = (a + b + c + d) / 4, (a - b - c + d) / 4
        across, down = (c + d - a - b) / 4, (b + d - a - c) / 4
        crosses = rectangle.crosses.unbind(-1)
        units = [(node / rectangle.reach.clamp(min=1e-300)).unbind(-1) for node in nodes]
        inner = []
        for i, (p, _) in enumerate(units):
            for j, (_, q) in enumerate(units):
                if len(nodes) == 3 and 1 in (i, j):
                    rest = seen[i][j] - middle - p * across - q * down - p * q * twist
                    own = (crosses[0] | (i != 1)) & (crosses[1] | (j != 1))  # otherwise it is a side's node again
                    inner.append(torch.where(own, rest, 0.0))
        return cls(middle, across, down, twist, tuple(inner))
