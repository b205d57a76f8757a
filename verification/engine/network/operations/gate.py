"""A gate of a recurrent cell as one function of two inputs: `sigmoid(x) tanh(y)` or `sigmoid(x) y`.

Relaxing the sigmoid, the tanh and their product one after the other loses at each step. Here the plane bounds the whole:
for any slopes, its intercept is the extreme of what the plane leaves over on a grid, moved outward by the most that a
function of bounded curvature can rise between grid points (docs/bounds.md). So soundness does not rest on the slopes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.operations.base import Elementwise
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.sigmoid import Sigmoid, Tanh
from verification.engine.relaxation import Interval, Planes, Rounding

_CELLS = 16  # of the grid along each input
_SIGMOID_CURVATURE = 0.0963  # |sigmoid''| <= 1 / (6 sqrt 3)
_TANH_CURVATURE = 0.7699  # |tanh''| <= 4 / (3 sqrt 3)


@dataclass(frozen=True)
class Gate(Elementwise):
    """`sigmoid(x) tanh(y)`, or `sigmoid(x) y` where not `squashed`."""

    squashed: bool

    def concrete(self, *inputs: Tensor) -> Tensor:
        x, y = inputs
        return x.sigmoid() * (y.tanh() if self.squashed else y)

    def _factors(self, rounding: Rounding, *boxes: Interval) -> tuple[Interval, Interval]:
        """The ranges of the sigmoid and of the other factor."""
        x, y = boxes
        return Sigmoid().interval(rounding, x), Tanh().interval(rounding, y) if self.squashed else y

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        return Product().interval(rounding, *self._factors(rounding, *boxes))

    def planes(self, rounding: Rounding, *boxes: Interval) -> Planes:
        chained = self._chained(rounding, *boxes)
        slopes = [self._secants(*boxes), self._tangent(*boxes)]
        joint = [self._joint(rounding, slope, *boxes) for slope in slopes]
        x, y = boxes
        centre = (x.centre, y.centre)
        return _best([chained, *joint], centre)

    def sloped(self, rounding: Rounding, slopes: Sequence[Tensor], *boxes: Interval) -> Planes:
        below = self._joint(rounding, (slopes[0], slopes[1]), *boxes)
        above = self._joint(rounding, (slopes[2], slopes[3]), *boxes)
        return Planes(below.lower_slopes, below.lower_intercept, above.upper_slopes, above.upper_intercept)

    def derivatives(self, rounding: Rounding, *boxes: Interval) -> tuple[Interval, ...]:
        opened, other = self._factors(rounding, *boxes)
        (opening,) = Sigmoid().derivatives(rounding, boxes[0])
        by_first = opening.times(other, rounding.gamma(1))
        if not self.squashed:
            return by_first, opened
        (squashing,) = Tanh().derivatives(rounding, boxes[1])
        return by_first, opened.times(squashing, rounding.gamma(1))

    def _chained(self, rounding: Rounding, *boxes: Interval) -> Planes:
        """The factors' planes put into those of the product: better than a grid where the box is wide."""
        p, q = self._factors(rounding, *boxes)
        outer = Product().planes(rounding, p, q)
        inner = (Sigmoid().planes(rounding, boxes[0]), _factor_planes(self.squashed, rounding, boxes[1]))
        lower, upper = [], []
        below, above = outer.lower_intercept, outer.upper_intercept
        size = below.abs() + above.abs()
        for weight, planes, box in zip(outer.lower_slopes, inner, boxes, strict=True):
            positive, negative = weight.clamp(min=0), weight.clamp(max=0)
            lower.append(positive * planes.lower_slopes[0] + negative * planes.upper_slopes[0])
            upper.append(positive * planes.upper_slopes[0] + negative * planes.lower_slopes[0])
            below = below + positive * planes.lower_intercept + negative * planes.upper_intercept
            above = above + positive * planes.upper_intercept + negative * planes.lower_intercept
            size = size + 2 * weight.abs() * planes.magnitude((box,))
        margin = rounding.gamma(16) * size
        return Planes(tuple(lower), below - margin, tuple(upper), above + margin)

    def _secants(self, *boxes: Interval) -> tuple[Tensor, Tensor]:
        """Mean slopes over the box."""
        x, y = boxes
        ll, lu = self.concrete(x.lower, y.lower), self.concrete(x.lower, y.upper)
        ul, uu = self.concrete(x.upper, y.lower), self.concrete(x.upper, y.upper)
        wide, high = (x.upper - x.lower).clamp(min=1e-9), (y.upper - y.lower).clamp(min=1e-9)
        return (ul + uu - ll - lu) / (2 * wide), (lu + uu - ll - ul) / (2 * high)

    def _tangent(self, *boxes: Interval) -> tuple[Tensor, Tensor]:
        """The gradient in the middle of the box."""
        x, y = (box.centre for box in boxes)
        other, slope = (y.tanh(), Tanh().slope(y)) if self.squashed else (y, torch.ones_like(y))
        return Sigmoid().slope(x) * other, x.sigmoid() * slope

    def _joint(self, rounding: Rounding, slopes: tuple[Tensor, Tensor], *boxes: Interval) -> Planes:
        """Planes with these slopes below and above, by the grid."""
        x, y = boxes
        shares = torch.linspace(0, 1, _CELLS + 1, dtype=x.lower.dtype, device=x.lower.device)
        ys = y.lower + shares.view(-1, *[1] * y.lower.dim()) * (y.upper - y.lower)
        rows = []
        for share in shares:  # not all at once, for the sake of memory
            xs = x.lower + share * (x.upper - x.lower)
            left = self.concrete(xs, ys) - slopes[0] * xs - slopes[1] * ys
            rows.append(torch.stack([left.amin(0), left.amax(0)]))
        ends = torch.stack(rows)
        least, most = ends[:, 0].amin(0), ends[:, 1].amax(0)
        size = self._factors(rounding, *boxes)[1].magnitude
        # Bilinear interpolation in a cell of sides a, b errs by at most (a^2 |f_xx| + b^2 |f_yy|) / 8.
        bend = ((x.upper - x.lower) / _CELLS).square() * _SIGMOID_CURVATURE * size
        if self.squashed:
            bend = bend + ((y.upper - y.lower) / _CELLS).square() * _TANH_CURVATURE
        scale = (slopes[0].abs() + size) * x.magnitude + (slopes[1].abs() + 1) * y.magnitude + size + bend
        outward = bend / 8 + rounding.function * (1 + size) + rounding.gamma(8) * scale
        return Planes(slopes, least - outward, slopes, most + outward)


def _factor_planes(squashed: bool, rounding: Rounding, box: Interval) -> Planes:
    if squashed:
        return Tanh().planes(rounding, box)
    one, zero = torch.ones_like(box.lower), torch.zeros_like(box.lower)
    return Planes((one,), zero, (one,), zero)


def _best(candidates: list[Planes], centre: tuple[Tensor, Tensor]) -> Planes:
    """Element by element the highest lower and the lowest upper plane, as seen from the middle of the box."""

    def chosen(planes: list[tuple[Tensor, ...]], of: Callable[[Tensor], Tensor]) -> list[Tensor]:
        heights = torch.stack([a * centre[0] + b * centre[1] + c for a, b, c in planes])
        index = of(heights).unsqueeze(0)
        return [torch.stack(parts).gather(0, index)[0] for parts in zip(*planes, strict=True)]

    low_x, low_y, low = chosen(
        [(*p.lower_slopes, p.lower_intercept) for p in candidates], lambda heights: heights.argmax(0)
    )
    up_x, up_y, up = chosen(
        [(*p.upper_slopes, p.upper_intercept) for p in candidates], lambda heights: heights.argmin(0)
    )
    return Planes((low_x, low_y), low, (up_x, up_y), up)
