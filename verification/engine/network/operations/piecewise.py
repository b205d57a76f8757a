"""Functions of one variable that are convex, concave or straight on each of a few pieces: one rule for all of them.

Any slope s gives a sound plane once its intercept bounds `f(x) - s x` on the interval. On a convex piece the largest
value lies at an end. The least one is bounded by two tangents on both sides of the minimum: a convex function lies above
each of its tangents, wherever they touch. So soundness rests neither on the slope nor on the points of contact; they
decide tightness alone (docs/bounds.md). Concave pieces are convex ones upside down.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from verification.engine.network.operations.base import Elementwise, Site
from verification.engine.relaxation import Interval, Planes, Rounding

_BISECTIONS = 12  # of points of contact: the error falls with the square of their distance
_CELLS = 10  # of the interval, on which the slope is chosen
_SLOPES = 14  # bisections of the slope
_CHORD = 1e-6  # of an interval's values: narrower ones have no chord worth the name
_CHUNK = 1 << 16  # elements whose planes are made at a time: some ten megabytes of samples

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Piece:
    """A function on [start, end]: convex (`bend` 1), concave (-1) or straight (0) there, with its derivative.

    An end may be off by a rounding error: the wrong bend on so short a stretch is far below the margin for rounding.
    """

    start: float
    end: float
    bend: int
    value: Function
    slope: Function


def straight(start: float, end: float, slope: Tensor | float, shift: float = 0.0) -> Piece:
    """`slope * x + shift` on [start, end]."""
    return Piece(start, end, 0, lambda x: slope * x + shift, lambda x: slope * torch.ones_like(x))


@dataclass(frozen=True)
class Piecewise(Elementwise):
    """A function given by pieces that cover all real numbers; where two overlap both formulas are bounded."""

    exact_interval = True
    #: Whether an enclosure has the slope of the chord: as good as any for a function that bends one way, and far cheaper.
    chord: ClassVar[bool] = False

    @abstractmethod
    def pieces(self) -> tuple[Piece, ...]:
        """From left to right. Each value must be right to about 100 units in the last place of `1 + |x| + |f(x)|`."""

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        lower, upper = self._in_chunks(boxes[0], lambda part, box: part._range(box, rounding))
        return Interval(lower, upper)

    def planes(self, rounding: Rounding, *boxes: Interval) -> Planes:
        below, low, above, high = self._in_chunks(boxes[0], lambda part, box: part._planes(box, rounding))
        return Planes((below,), low, (above,), high)

    def _enclosing(self, site: Site) -> Tensor:
        if not self.chord:
            return super()._enclosing(site)
        slope, low, high = self._in_chunks(site.boxes[0], lambda part, box: part._beside_chord(box, site.rounding))
        return self.prepared(Planes((slope,), low, (slope,), high), site)

    def _beside_chord(self, box: Interval, rounding: Rounding) -> tuple[Tensor, Tensor, Tensor]:
        """The slope of the chord, and the intercepts of the planes below and above with that slope."""
        width = box.upper - box.lower
        # Where the interval is too narrow for a chord any slope is sound, and zero nearly as good.
        slope = ((self.concrete(box.upper) - self.concrete(box.lower)) / width).nan_to_num(0.0, 0.0, 0.0)
        slope = torch.where(width > _CHORD * (1 + box.magnitude), slope, 0.0)
        return slope, -self._highest(box, slope, rounding, -1), self._highest(box, slope, rounding, 1)

    def _in_chunks(
        self, box: Interval, work: Callable[["Piecewise", Interval], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """`work` on some elements at a time, because it keeps many samples of each; its results in the shape of the box."""
        shape = box.lower.shape
        flat = {name: value.expand(shape).reshape(-1) for name, value in self.constants().items()}
        ends = [end.reshape(-1) for end in (box.lower, box.upper)]
        results = []
        for start in range(0, max(box.lower.numel(), 1), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            part = replace(self, **{name: value[chunk] for name, value in flat.items()}) if flat else self
            results.append(work(part, Interval(*(end[chunk] for end in ends))))
        return tuple(torch.cat(parts).view(shape) for parts in zip(*results, strict=True))

    def _range(self, box: Interval, rounding: Rounding) -> tuple[Tensor, Tensor]:
        flat = torch.zeros_like(box.lower)
        return -self._highest(box, flat, rounding, -1), self._highest(box, flat, rounding, 1)

    def _planes(self, box: Interval, rounding: Rounding) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Slope and intercept of the plane below, then of that above."""
        above, below = self._slope(box, 1), -self._slope(box, -1)
        high, low = self._highest(box, above, rounding, 1), -self._highest(box, below, rounding, -1)
        return below, low, above, high

    def derivatives(self, rounding: Rounding, *boxes: Interval) -> tuple[Interval, ...]:
        """On a piece that bends one way the derivative rises or falls throughout: its extremes lie at the ends."""
        box = boxes[0]
        least, most = torch.full_like(box.lower, math.inf), torch.full_like(box.lower, -math.inf)
        for piece in self.pieces():
            met = (box.lower <= piece.end) & (box.upper >= piece.start)
            first, last = (piece.slope(end.clamp(piece.start, piece.end)) for end in (box.lower, box.upper))
            least = torch.where(met, torch.minimum(least, torch.minimum(first, last)), least)
            most = torch.where(met, torch.maximum(most, torch.maximum(first, last)), most)
        slopes = Interval(least, most)
        return (slopes.widened(rounding.function * (1 + slopes.magnitude)),)

    def _highest(self, box: Interval, slope: Tensor, rounding: Rounding, sign: int) -> Tensor:
        """An upper bound of `sign * (f(x) - slope x)` on the interval, its rounding added."""
        best = torch.full_like(box.lower, -math.inf)
        size = torch.zeros_like(best)
        for piece in self.pieces():
            first, last = (end.clamp(piece.start, piece.end) for end in (box.lower, box.upper))
            met = (box.lower <= piece.end) & (box.upper >= piece.start)
            bound, terms = _piece_highest(piece, first, last, slope, sign)
            best = torch.where(met, torch.maximum(best, bound), best)
            size = torch.where(met, torch.maximum(size, terms), size)
        best = best.masked_fill(best == -math.inf, math.inf)  # no piece was met: the interval holds no numbers
        return best + rounding.function * (1 + size + 2 * (1 + slope.abs()) * box.magnitude)

    def _slope(self, box: Interval, sign: int) -> Tensor:
        """The slope of the plane above `sign * f` with the least area, nearly: it supports the samples' hull in the middle.

        The height in the middle is a convex function of the slope: it falls while the highest sample lies on the right.
        """
        width, middle = box.upper - box.lower, box.centre
        points = [box.lower + width * (cell / _CELLS) for cell in range(_CELLS + 1)]
        ends = {end for piece in self.pieces() for end in (piece.start, piece.end) if math.isfinite(end)}
        points += [torch.full_like(middle, end).clamp(box.lower, box.upper) for end in sorted(ends)]
        x = torch.stack(points).sort(0).values
        y = sign * self.concrete(x)
        x = x - middle
        step = x.diff(dim=0)
        apart = step > 1e-6 * width  # no slope between points that coincide
        secants = y.diff(dim=0) / step.clamp(min=1e-30)
        least = secants.masked_fill(~apart, math.inf).amin(0)
        most = secants.masked_fill(~apart, -math.inf).amax(0)
        least, most = (torch.where(width > 0, end, 0.0) for end in (least, most))
        for _ in range(_SLOPES):
            slope = (least + most) / 2
            highest = (y - slope * x).argmax(0, keepdim=True)
            right = x.gather(0, highest)[0] > 0
            least, most = torch.where(right, slope, least), torch.where(right, most, slope)
        return (least + most) / 2


def _piece_highest(piece: Piece, first: Tensor, last: Tensor, slope: Tensor, sign: int) -> tuple[Tensor, Tensor]:
    """An upper bound of `sign * (f(x) - slope x)` on [first, last] within a piece, and what its rounding is relative to."""

    def height(x: Tensor) -> tuple[Tensor, Tensor]:
        value = piece.value(x)
        return sign * (value - slope * x), value.abs()

    if piece.bend * sign >= 0:
        (a, size_a), (b, size_b) = height(first), height(last)
        return torch.maximum(a, b), torch.maximum(size_a, size_b)
    near, far = first, last
    for _ in range(_BISECTIONS):
        middle = (near + far) / 2
        rising = sign * (piece.slope(middle) - slope) > 0
        near, far = torch.where(rising, middle, near), torch.where(rising, far, middle)
    (a, size_a), (b, size_b) = height(near), height(far)
    rise_a, rise_b = sign * (piece.slope(near) - slope), sign * (piece.slope(far) - slope)
    # The tangent in `near` bounds all on its left, that in `far` all on its right, and both what lies between them.
    left = a + (-rise_a).clamp(min=0) * (near - first)
    right = b + rise_b.clamp(min=0) * (last - far)
    gap = far - near
    between = torch.minimum(a + rise_a.clamp(min=0) * gap, b + (-rise_b).clamp(min=0) * gap)
    tangents = torch.maximum(rise_a.abs(), rise_b.abs()) * (last - first)
    return torch.maximum(torch.maximum(left, right), between), torch.maximum(size_a, size_b) + tangents
