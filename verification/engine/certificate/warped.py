"""The checker's rule for clips whose content moves along a course with one parameter p (docs/distortions.md, "Warps").

A pixel is `f(p) = F(X(p))`, where F is bilinear in every cell of the lattice. Over parts of a leaf it is compared with the line
between its values at both ends: in one cell by what `f''` can be, across lines of the lattice by what `f'` can be.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.perturbation.distortions.courses import Course, Drift, Turn, Zoom
from verification.engine.perturbation.distortions.warped import Warped

_NEAR = 1e-11  # pixels: so near to the end of a path, lines do not count
_POSITION = 1e-14  # of a position, relative to its size, what rounding takes
_VALUE = 1e-13  # of a value, relative to the brightest
_NARROW = 1e-9  # of a leaf, relative to its parameter: the values' line is level
_PARTS = 3  # of a leaf: in each of them a path crosses few lines and bends little
_LOG2 = math.log(2.0)
_DEGREE = math.pi / 180

#: The least and the greatest value.
_Range = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Line:
    """`start + slope (p - p_0)` and what the pixels differ from it at least and at most, (B, l, 3, h, w) each."""

    start: Tensor
    slope: Tensor
    least: Tensor
    most: Tensor


@dataclass(frozen=True)
class _Group:
    """Some pixels of some leaves that are treated alike, m of them, each with C channels; see `_Leaves.group`."""

    picture: Tensor  # (m,): which one
    near: Tensor  # (m, 2): the least of each coordinate on the path, along x and along y
    far: Tensor  # (m, 2): the greatest
    first: Tensor  # (m, 2): numbers of the first cell and of the last one
    last: Tensor
    speed: _Range  # (m, 2) each: of X'
    turn: _Range  # (m, 2) each: of X''


def line_of(operation: Warped, lower: Tensor, upper: Tensor) -> Line:
    """For parameters `lower <= p <= upper` (B,): each part of a leaf against a line of its own, and these against the leaf's."""
    edges = [lower + (upper - lower) * (part / _PARTS) for part in range(_PARTS)] + [upper]
    values = [operation.concrete(edge.unsqueeze(1)) for edge in edges]
    width = _pixelwise(upper - lower)
    size = 1 + _pixelwise(torch.maximum(lower.abs(), upper.abs()))
    slope = torch.where(width > _NARROW * size, (values[-1] - values[0]) / width.clamp(min=1e-300), 0.0)
    above = [value - values[0] - slope * _pixelwise(edge - lower) for value, edge in zip(values, edges, strict=True)]
    least, most = torch.zeros_like(slope), torch.zeros_like(slope)
    for part in range(_PARTS):
        leaves = _Leaves(operation, edges[part], edges[part + 1])
        low, high = leaves.deviations(values[part], values[part + 1])
        lost = _pixelwise(leaves.lost)
        least = torch.minimum(least, torch.minimum(above[part], above[part + 1]) + low - lost)
        most = torch.maximum(most, torch.maximum(above[part], above[part + 1]) + high + lost)
    return Line(values[0], slope, least, most)


def _pixelwise(numbers: Tensor) -> Tensor:
    """(B, 1, 1, 1, 1)"""
    return numbers.view(-1, 1, 1, 1, 1)


def _times(x: _Range, y: _Range) -> _Range:
    products = torch.stack(torch.broadcast_tensors(x[0] * y[0], x[0] * y[1], x[1] * y[0], x[1] * y[1]))
    return products.amin(0), products.amax(0)


def _plus(*ranges: _Range) -> _Range:
    return sum(r[0] for r in ranges), sum(r[1] for r in ranges)  # type: ignore[return-value]


def _hull(*values: Tensor) -> _Range:
    stacked = torch.stack(values)
    return stacked.amin(0), stacked.amax(0)


def _rates(course: Course, lower: Tensor, upper: Tensor) -> tuple[_Range, _Range]:
    """(B, K) each: the first and the second derivatives of what the course does to each of its steps, `-g'` and `-g''`.

    Sine and cosine change no faster than their angle.
    """
    if isinstance(course, Turn):
        middle, half = (lower + upper) / 2 * _DEGREE, (upper - lower) / 2 * _DEGREE * (1 + 1e-12) + 1e-12
        sine, cosine = (
            ((wave - half).clamp(min=-1), (wave + half).clamp(max=1)) for wave in (middle.sin(), middle.cos())
        )
        first = [(-_DEGREE * sine[1], -_DEGREE * sine[0]), (-_DEGREE * cosine[1], -_DEGREE * cosine[0])]
        second = [(-(_DEGREE**2) * cosine[1], -(_DEGREE**2) * cosine[0]), (_DEGREE**2 * sine[0], _DEGREE**2 * sine[1])]
    elif isinstance(course, Zoom):
        powers = (-upper).exp2() * (1 - 1e-12), (-lower).exp2() * (1 + 1e-12)
        first = [(-_LOG2 * powers[1], -_LOG2 * powers[0])]
        second = [(_LOG2**2 * powers[0], _LOG2**2 * powers[1])]
    elif isinstance(course, Drift):
        one = torch.ones_like(lower)
        first, second = [(-one, -one)], [(0 * one, 0 * one)]
    else:
        raise TypeError(f"the checker does not know the course {type(course).__name__}")
    return tuple(
        (torch.stack([r[0] for r in rate], 1), torch.stack([r[1] for r in rate], 1)) for rate in (first, second)
    )  # type: ignore[return-value]


class _Leaves:
    """The paths of all pixels over B leaves. Frames that move alike are channels of one picture: n pictures of C channels."""

    def __init__(self, operation: Warped, lower: Tensor, upper: Tensor) -> None:
        self.operation, self.lower, self.upper = operation, lower, upper
        self.count, self.steps = operation.steps.shape[1], operation.steps.movedim(2, -1)  # (K, n, h, w, 2)
        self.length, _, self.height, self.width = operation.frames.shape
        self.speed, self.turn = (self._moved(rate) for rate in _rates(operation.course, lower, upper))

    @cached_property
    def pictures(self) -> Tensor:
        """(n, h, w, C)"""
        frames = self.operation.frames
        return frames.reshape(self.count, -1, *frames.shape[2:]).movedim(1, -1).contiguous()

    @cached_property
    def edge(self) -> Tensor:
        """(2,): the last column and the last row."""
        return self.lower.new_tensor([self.width - 1, self.height - 1])

    @cached_property
    def lost(self) -> Tensor:
        """(B,): what rounding makes of a pixel, and lines that are left out; slopes are at most twice the brightest value."""
        return 32 * self.pictures.abs().amax() * (_VALUE + 2 * _NEAR + _POSITION * self._size)

    @cached_property
    def _size(self) -> Tensor:
        """(B,): of the largest position, pixels."""
        steps = self.steps.abs().flatten(1).amax(1)
        amounts = [self.operation.course.amounts(end.unsqueeze(1)).abs() + 1 for end in (self.lower, self.upper)]
        return self.height + self.width + torch.maximum(*amounts) @ steps

    def _moved(self, rate: _Range) -> _Range:
        """(B, n, h, w, 2) each: what a rate of the course is for positions."""
        least, most = (end.view(*end.shape, *[1] * 4) for end in rate)
        return _plus(*[_times((least[:, k], most[:, k]), (step, step)) for k, step in enumerate(self.steps)])

    def _place(self, p: Tensor) -> Tensor:
        """(B, n, h, w, 2)"""
        amounts = self.operation.course.amounts(p.unsqueeze(1))
        pixels = torch.stack(
            torch.meshgrid(*(torch.arange(n).to(self.lower) for n in (self.width, self.height)), indexing="xy"), -1
        )
        return pixels - torch.einsum("bk,k...->b...", amounts, self.steps)

    def _paths(self) -> _Range:
        """(B, n, h, w, 2) each: between which coordinates a pixel's path lies.

        Between its ends where the coordinate does not turn back, else as near to its middle as its speed allows as well.
        """
        start, end = self._place(self.lower), self._place(self.upper)
        half = ((self.upper - self.lower) / 2 * (1 + 1e-12)).view(-1, 1, 1, 1, 1)
        middle = self._place((self.lower + self.upper) / 2)
        reach = torch.maximum(self.speed[0].abs(), self.speed[1].abs()) * half
        turns = (self.speed[0] < 0) & (self.speed[1] > 0)
        near, far = torch.minimum(start, end), torch.maximum(start, end)
        near = torch.where(turns, torch.minimum(near, middle - reach), near)
        return near, torch.where(turns, torch.maximum(far, middle + reach), far)

    def deviations(self, start: Tensor, end: Tensor) -> _Range:
        """(B, l, 3, h, w) each: what lies between the pixels' line through `start` and `end` and the pixels."""
        near, far = self._paths()
        first = torch.minimum((near + _NEAR).floor(), self.edge).clamp(min=-1)
        last = torch.maximum(torch.minimum((far - _NEAR).ceil() - 1, self.edge).clamp(min=-1), first)
        lines = (last - first).amax(-1)
        values = [self._shared(v) for v in (start, end)]
        found = [torch.zeros_like(values[0]) for _ in range(2)]
        width = self.upper - self.lower
        for chosen, rule in ((lines == 0, self._within), (lines == 1, self._across), (lines > 1, self._anywhere)):
            at = chosen.nonzero(as_tuple=True)
            if not len(at[0]):
                continue
            speed, turn = (tuple(part[at] for part in rate) for rate in (self.speed, self.turn))
            group = _Group(at[1], near[at], far[at], first[at], last[at], speed, turn)  # type: ignore[arg-type]
            ends = values[0][at], values[1][at]
            for whole, part in zip(found, rule(group, width[at[0]].unsqueeze(1), *ends), strict=True):
                whole[at] = part
        return self._framed(found[0]), self._framed(found[1])

    def _shared(self, values: Tensor) -> Tensor:
        """(B, n, h, w, C) of (B, l, 3, h, w)"""
        return values.reshape(len(values), self.count, -1, self.height, self.width).movedim(2, -1)

    def _framed(self, values: Tensor) -> Tensor:
        """And back."""
        return values.movedim(-1, 2).reshape(-1, self.length, 3, self.height, self.width)

    def _lattice(self, group: _Group) -> list[list[Tensor]]:
        """(m, C) each, by column and row: values where lines of the lattice meet, around the first cell and behind the last."""
        lines = [group.first, group.first + 1]
        if bool((group.last > group.first).any()):
            lines.append(group.last + 1)
        at = [torch.minimum(line, self.edge).clamp(min=0).long().unbind(1) for line in lines]
        flat, base = self.pictures.flatten(0, 2), group.picture * self.height
        return [[flat.index_select(0, (base + y) * self.width + x) for _, y in at] for x, _ in at]

    def _within(self, group: _Group, width: Tensor, start: Tensor, end: Tensor) -> _Range:
        """In one cell `f'' = F_x X'' + F_y Y'' + 2 F_xy X' Y'`.

        `f - line = -f'' (p - p_0) (p_1 - p) / 2` with one of the values that f'' has on the way.
        """
        lattice = self._lattice(group)
        twist = lattice[1][1] - lattice[1][0] - lattice[0][1] + lattice[0][0]
        parts = [_times(steep, _column(group.turn, axis)) for axis, steep in enumerate(_steep(group, lattice))]
        crossed = _times((2 * twist, 2 * twist), _times(_column(group.speed, 0), _column(group.speed, 1)))
        least, most = _plus(*parts, crossed)
        share = width.square() / 8
        return -most.clamp(min=0) * share, -least.clamp(max=0) * share

    def _across(self, group: _Group, width: Tensor, start: Tensor, end: Tensor) -> _Range:
        """Over one line of the lattice, or one of each direction."""
        return self._cone(_steep(group, self._lattice(group)), group, width, start, end)

    def _anywhere(self, group: _Group, width: Tensor, start: Tensor, end: Tensor) -> _Range:
        """Over many lines: slopes and values are those of the whole picture."""
        steep = []
        for axis in (2, 1):
            slopes = torch.cat([torch.zeros_like(self.pictures.narrow(axis, 0, 1)), self.pictures.diff(dim=axis)], axis)
            steep.append((slopes.amin((1, 2))[group.picture], slopes.amax((1, 2))[group.picture]))
        least, most = self._cone((steep[0], steep[1]), group, width, start, end)
        low, high = (end[group.picture] for end in (self.pictures.amin((1, 2)), self.pictures.amax((1, 2))))
        return torch.maximum(least, low - torch.maximum(start, end)), torch.minimum(
            most, high - torch.minimum(start, end)
        )

    @staticmethod
    def _cone(steep: tuple[_Range, _Range], group: _Group, width: Tensor, start: Tensor, end: Tensor) -> _Range:
        """If all slopes lie in [s, S], f stays in the parallelogram that these make with both ends of its line."""
        least, most = _plus(*[_times(steep[axis], _column(group.speed, axis)) for axis in (0, 1)])
        rise = end - start
        above, below = (most * width - rise).clamp(min=0), (rise - least * width).clamp(min=0)
        height = above * below / (above + below).clamp(min=1e-300)
        return -height, height


def _steep(group: _Group, lattice: list[list[Tensor]]) -> tuple[_Range, _Range]:
    """(m, C) each: F_x and F_y on the way. In a cell each is linear along the other axis: its ends tell, and lines between."""
    turned = [list(column) for column in zip(*lattice, strict=True)]
    return _steep_along(0, group, lattice), _steep_along(1, group, turned)


def _steep_along(axis: int, group: _Group, lattice: list[list[Tensor]]) -> _Range:
    """`lattice[i][j]`: line i along the axis, line j along the other one."""
    own, other = ((group.last > group.first)[:, a : a + 1] for a in (axis, 1 - axis))
    low, high, first, last = (part[:, 1 - axis, None] for part in (group.near, group.far, group.first, group.last))
    early, late = (low - first).clamp(0, 1), (high - last).clamp(0, 1)
    found: list[Tensor] = []
    for cell in range(len(lattice) - 1):
        slopes = [behind - before for before, behind in zip(lattice[cell], lattice[cell + 1], strict=True)]
        values = [torch.lerp(slopes[0], slopes[1], early), torch.lerp(slopes[0], slopes[1], late)]
        if len(slopes) == 3:
            values[1] = torch.where(other, torch.lerp(slopes[1], slopes[2], late), values[1])
            values.append(torch.where(other, slopes[1], values[0]))
        # Without a line between there is no second cell.
        found += values if cell == 0 else [torch.where(own, value, found[0]) for value in values]
    return _hull(*found)


def _column(rate: _Range, axis: int) -> _Range:
    return rate[0][:, axis : axis + 1], rate[1][:, axis : axis + 1]
