"""A frame as a function of the place: bilinear in every cell of the lattice of pixels, constant across the edges of the frame.

Cell (i, j) lies between rows i and i + 1 and columns j and j + 1; cells before the first pixel have the number -1, those from the
last one on the number of that pixel, and there nothing changes across the edge (docs/distortions.md, "Warps").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

#: Sides of the squares of cells whose slopes are told apart, powers of two; beyond, those of the whole frame count.
_SIDES = (4, 8, 16)
#: Cells on each side that are looked at besides those of a path.
_AROUND = 1
#: How many lines of one direction a way may cross for its values there to be looked at: more are known only by their slopes.
#: Pictures of many channels are read so fast that it can be more.
_LINES = 2
_LINES_OF_ONE = 3
_FIRST = -1 - _AROUND  # number of the first cell that a square begins at


@dataclass(frozen=True)
class Lattice:
    """`pictures` (n, C, h, w): each has places of its own, which all of its C channels share."""

    pictures: Tensor

    @property
    def last(self) -> Tensor:
        """(2, 1, 1): number of the last column and of the last row."""
        height, width = self.pictures.shape[2:]
        return self.pictures.new_tensor([width - 1, height - 1]).view(2, 1, 1)

    @property
    def lines(self) -> int:
        """How many lines of one direction a way may cross for its values there to be looked at."""
        return _LINES_OF_ONE if len(self.pictures) == 1 else _LINES

    @cached_property
    def brightest(self) -> Tensor:
        """The largest magnitude of any value."""
        return self.pictures.abs().amax()

    def cells(self, places: Tensor) -> Tensor:
        """Numbers of the cells in which places lie, along x and along y, both (n, 2, h, w)."""
        return torch.minimum(places.floor(), self.last).clamp(min=-1)

    def values(self, places: Tensor) -> Tensor:
        """(n, C, h, w): the value at each place (n, 2, h, w)."""
        width = self.pictures.shape[3]
        inside = torch.minimum(places, self.last).clamp(min=0)
        near = torch.minimum(inside.floor(), (self.last - 1).clamp(min=0))
        (left, top), (right, bottom) = ((at[:, :1], at[:, 1:]) for at in (near, torch.minimum(near + 1, self.last)))
        across, down = (inside - near).split(1, 1)
        value = _pick(self._ready, top * width + left) * ((1 - across) * (1 - down))
        for row, column, weight in (
            (top, right, across * (1 - down)),
            (bottom, left, (1 - across) * down),
            (bottom, right, across * down),
        ):
            value = torch.addcmul(value, _pick(self._ready, row * width + column), weight)
        return value

    @cached_property
    def _ready(self) -> Tensor:
        return _laid_out(self.pictures)

    def twists(self, cells: Tensor) -> Tensor:
        """(n, C, h, w): `d^2 F / dx dy` in cells (n, 2, h, w)."""
        x, y = (cells + 1).split(1, 1)
        return _pick(self._twists, y * self._twists.shape[3] + x)

    @cached_property
    def _twists(self) -> Tensor:
        """(n, C, h + 1, w + 1), from cell -1 on; zero across the edges."""
        return _laid_out(self._around(1, 1).diff(dim=2).diff(dim=3))

    def _around(self, before: int, behind: int) -> Tensor:
        """The pictures with their edges repeated."""
        rows, columns = (
            torch.arange(-before, size + behind, device=self.pictures.device).clamp(0, size - 1)
            for size in self.pictures.shape[2:]
        )
        return self.pictures[:, :, rows][:, :, :, columns]

    def slopes(self, first: Tensor, last: Tensor) -> "tuple[Slopes, Slopes]":
        """The slopes along x and along y in all cells from `first` to `last` and next to them, (n, 2, h, w) each."""
        start, count = first - _AROUND, (last - first + 1 + 2 * _AROUND).amax(1, keepdim=True)
        level = sum((count > side).to(count) for side in _SIDES[:-1])
        x, y = (start - _FIRST).split(1, 1)
        rows, columns = (size + 1 for size in self.pictures.shape[2:])
        index = (level * rows + y) * columns + x
        found = []
        for axis in (3, 2):
            (least, most), (lowest, highest) = self._squares[axis], self._extremes[axis]
            wide = count > _SIDES[-1]
            found.append(
                Slopes(torch.where(wide, lowest, _pick(least, index)), torch.where(wide, highest, _pick(most, index)))
            )
        return found[0], found[1]

    @cached_property
    def _extremes(self) -> dict[int, tuple[Tensor, Tensor]]:
        """Of the slopes along each axis, (n, C, 1, 1) each."""
        around = self._around(1, 1)
        slopes = {axis: around.diff(dim=axis) for axis in (2, 3)}
        return {axis: (x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)) for axis, x in slopes.items()}

    @cached_property
    def _squares(self) -> dict[int, tuple[Tensor, Tensor]]:
        """Least and greatest slopes along each axis in squares of cells of each side, by their first cell.

        (n, C, sides * (h + 1), w + 1) each: squares begin from two cells before the first pixel to one before the last.
        """
        return {axis: (-self._greatest(axis, -1), self._greatest(axis, 1)) for axis in (2, 3)}

    def _greatest(self, axis: int, sign: int) -> Tensor:
        """`sign` times the slopes: first of both sides of a cell, then of squares that are put together from four."""
        rows, columns = (size + 1 for size in self.pictures.shape[2:])
        greatest = _pairs(sign * self._around(-_FIRST, _SIDES[-1]).diff(dim=axis), 5 - axis, 1)
        levels, side = [], 1
        while side < _SIDES[-1]:
            greatest, side = _pairs(_pairs(greatest, 2, side), 3, side), 2 * side
            if side in _SIDES:
                levels.append(greatest[:, :, :rows, :columns])
        return _laid_out(torch.cat(levels, 2))


@dataclass(frozen=True)
class Slopes:
    """The least and the greatest slope, (n, C, h, w) each."""

    least: Tensor
    greatest: Tensor

    def times(self, step: Tensor) -> "Slopes":
        """Of the change with a step."""
        ends = self.least * step, self.greatest * step
        return Slopes(torch.minimum(*ends), torch.maximum(*ends))


def _pairs(values: Tensor, axis: int, apart: int) -> Tensor:
    """The greater of every two values that are so far apart along an axis."""
    count = values.shape[axis] - apart
    return torch.maximum(values.narrow(axis, 0, count), values.narrow(axis, apart, count))


def _laid_out(pictures: Tensor) -> Tensor:
    """One picture with all channels of a place side by side: they are picked together, which is several times as fast."""
    return pictures.contiguous(memory_format=torch.channels_last if len(pictures) == 1 else torch.contiguous_format)


def _pick(pictures: Tensor, index: Tensor) -> Tensor:
    """Elements of pictures (n, C, rows, columns) by their numbers (n, 1, h, w), which all channels share."""
    flat, places = pictures.flatten(2), index.long().flatten(2)
    if len(pictures) == 1:
        return flat[0].T.index_select(0, places.flatten()).T.unflatten(1, index.shape[2:]).unsqueeze(0)
    return flat.gather(2, places.expand(*flat.shape[:2], -1)).unflatten(2, index.shape[2:])


def joined(slopes: Sequence[Slopes]) -> Slopes:
    """Of a sum."""
    least, greatest = (sum(parts[1:], parts[0]) for parts in zip(*((s.least, s.greatest) for s in slopes), strict=True))
    return Slopes(least, greatest)
