"""Planes below and above functions of one or two variables on a box, as the checker finds them.

Whatever slopes are tried, the intercept is an extreme of the function above the plane, so every plane holds; of several the one
that is best in the middle of the box is taken (docs/bounds.md, "Certificates").
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.certificate.curves import EVALUATED, SIGMOID_BENDS, TANH_BENDS, curve_of
from verification.engine.errors import UnsupportedOperationError
from verification.engine.network.operations.base import Operation
from verification.engine.network.operations.gate import Gate
from verification.engine.network.operations.product import Product

_CELLS = 16  # along each of two variables

Box = tuple[Tensor, Tensor]
#: The least and the greatest value of `f(x) - slopes . x` on the boxes, for slopes of one variable each.
_Extremes = Callable[[Sequence[Tensor]], Box]


@dataclass(frozen=True)
class Planes:
    """`lower . x + below <= f(x) <= upper . x + above` element by element, with a slope for each variable."""

    lower: tuple[Tensor, ...]
    below: Tensor
    upper: tuple[Tensor, ...]
    above: Tensor


def planes_of(operation: Operation, boxes: Sequence[Box]) -> Planes:
    """On boxes that broadcast. Raises UnsupportedOperationError for operations without a rule."""
    boxes = _broadcast(boxes)
    extremes = _extremes_of(operation, boxes)
    middles = [low / 2 + high / 2 for low, high in boxes]
    best: Planes | None = None
    for slopes in _candidates(operation, boxes):
        least, most = extremes(slopes)
        found = Planes(tuple(slopes), least, tuple(slopes), most)
        best = found if best is None else _better(best, found, middles)
    assert best is not None
    return best


def range_of(operation: Operation, boxes: Sequence[Box]) -> Box:
    """The least and the greatest value. Raises UnsupportedOperationError for operations without a rule."""
    boxes = _broadcast(boxes)
    return _extremes_of(operation, boxes)([torch.zeros_like(low) for low, _ in boxes])


def _broadcast(boxes: Sequence[Box]) -> list[Box]:
    sides = torch.broadcast_tensors(*itertools.chain.from_iterable(boxes))
    return list(zip(sides[::2], sides[1::2], strict=True))


def _better(one: Planes, other: Planes, middles: Sequence[Tensor]) -> Planes:
    """Element by element the higher of the lower planes and the lower of the upper ones, in the middle of the box."""

    def height(slopes: Sequence[Tensor], intercept: Tensor) -> Tensor:
        return intercept + sum(slope * x for slope, x in zip(slopes, middles, strict=True))

    raised = height(other.lower, other.below) > height(one.lower, one.below)
    lowered = height(other.upper, other.above) < height(one.upper, one.above)
    lower = tuple(torch.where(raised, b, a) for a, b in zip(one.lower, other.lower, strict=True))
    upper = tuple(torch.where(lowered, b, a) for a, b in zip(one.upper, other.upper, strict=True))
    below = torch.where(raised, other.below, one.below)
    return Planes(lower, below, upper, torch.where(lowered, other.above, one.above))


def _extremes_of(operation: Operation, boxes: Sequence[Box]) -> _Extremes:
    curve = curve_of(operation)
    if curve is not None:
        return lambda slopes: curve.extremes(slopes[0], *boxes[0])
    bends = _bends(operation, boxes)
    if bends is None:
        raise UnsupportedOperationError(f"cannot check: operation {type(operation).__name__}")
    return _Grid.of(operation, boxes, bends).extremes


def _bends(operation: Operation, boxes: Sequence[Box]) -> tuple[Tensor, Tensor] | None:
    """The greatest second derivative along each of two variables; along lines, hence on every box of the grid."""
    if len(boxes) != 2:
        return None
    (low, high) = boxes[1]
    nothing = torch.zeros_like(low)
    if isinstance(operation, Product):
        return nothing, nothing
    if not isinstance(operation, Gate):
        return None
    if operation.squashed:
        return torch.full_like(low, SIGMOID_BENDS), torch.full_like(low, TANH_BENDS)
    return SIGMOID_BENDS * torch.maximum(low.abs(), high.abs()), nothing


@dataclass(frozen=True)
class _Grid:
    """A function of two variables at the nodes of a grid on each box.

    Within a cell with sides u, w it differs from the bilinear function through its corners, which has its extremes there, by at
    most `(u^2 max |f_xx| + w^2 max |f_yy|) / 8`.
    """

    nodes: list[tuple[Tensor, Tensor, Tensor]]
    lost: Tensor

    @classmethod
    def of(cls, operation: Operation, boxes: Sequence[Box], bends: tuple[Tensor, Tensor]) -> "_Grid":
        cells = [_CELLS if bool((bend != 0).any()) else 1 for bend in bends]
        axes = [_nodes(low, high, count) for (low, high), count in zip(boxes, cells, strict=True)]
        nodes = [(x, y, operation.concrete(x, y)) for x, y in itertools.product(*axes)]
        # The nodes are rounded as well: cells may be a little wider than they should be.
        sides = [1.001 * (high - low) / count for (low, high), count in zip(boxes, cells, strict=True)]
        lost = sum((side.square() * bend for side, bend in zip(sides, bends, strict=True)), torch.zeros_like(sides[0]))
        return cls(nodes, lost / 8)

    def extremes(self, slopes: Sequence[Tensor]) -> Box:
        a, b = slopes
        least = torch.full_like(self.lost, torch.inf)
        most, size = -least, torch.zeros_like(least)
        for x, y, value in self.nodes:
            height = value - a * x - b * y
            least, most = torch.minimum(least, height), torch.maximum(most, height)
            size = torch.maximum(size, value.abs() + (a * x).abs() + (b * y).abs())
        lost = self.lost + EVALUATED * (1 + size)
        return least - lost, most + lost


def _nodes(low: Tensor, high: Tensor, cells: int) -> list[Tensor]:
    shares = [number / cells for number in range(1, cells)]
    return [low, *((low + share * (high - low)).clamp(low, high) for share in shares), high]


def _candidates(operation: Operation, boxes: Sequence[Box]) -> list[list[Tensor]]:
    """Slopes that are worth trying: the mean ones over the box, and those in its middle and at its corners."""
    curve = curve_of(operation)
    middles = [low / 2 + high / 2 for low, high in boxes]
    corners = list(itertools.product(*boxes))
    if curve is not None:
        chord = _secant(operation, [boxes[0][0]], [boxes[0][1]], 0)
        return [[chord], *([curve.slope_at(x)] for x in (middles[0], *boxes[0]))]
    places = [middles, *(list(corner) for corner in corners)]
    return [_means(operation, boxes), *(_gradient(operation, boxes, place) for place in places)]


def _means(operation: Operation, boxes: Sequence[Box]) -> list[Tensor]:
    """Half the slopes along each variable at one end of the other, half at the other end."""
    (left, right), (low, high) = boxes
    across = [_secant(operation, [left, y], [right, y], 0) for y in (low, high)]
    up = [_secant(operation, [x, low], [x, high], 1) for x in (left, right)]
    return [(across[0] + across[1]) / 2, (up[0] + up[1]) / 2]


def _gradient(operation: Operation, boxes: Sequence[Box], place: Sequence[Tensor]) -> list[Tensor]:
    """About the gradient, from a short way along each variable inside of the box."""
    slopes = []
    for axis, (low, high) in enumerate(boxes):
        step = 1e-4 * (high - low)
        first, last = list(place), list(place)
        first[axis], last[axis] = (place[axis] - step).clamp(low, high), (place[axis] + step).clamp(low, high)
        slopes.append(_secant(operation, first, last, axis))
    return slopes


def _secant(operation: Operation, first: Sequence[Tensor], last: Sequence[Tensor], axis: int) -> Tensor:
    """The slope between two places; 0 where they are the same."""
    width = last[axis] - first[axis]
    slope = (operation.concrete(*last) - operation.concrete(*first)) / width
    return torch.where(width > 0, slope, 0.0).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
