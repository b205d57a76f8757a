"""ReLU and LeakyReLU: piecewise linear with one kink at zero."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.base import Elementwise
from verification.engine.relaxation import Interval, Planes, Rounding


@dataclass(frozen=True)
class Relu(Elementwise):
    """`max(x, slope x)` with `0 <= slope < 1`; slope 0 is ReLU. Convex, so the chord bounds it from above."""

    slope: float = 0.0
    exact_interval = True

    def concrete(self, *inputs: Tensor) -> Tensor:
        return functional.leaky_relu(inputs[0], self.slope) if self.slope else inputs[0].relu()

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        result = Interval(self.concrete(boxes[0].lower), self.concrete(boxes[0].upper))
        return result.widened(rounding.gamma(1) * result.magnitude) if self.slope else result

    def undecided(self, box: Interval) -> Tensor:
        return (box.lower < 0) & (box.upper > 0)

    def ignored(self, box: Interval) -> Tensor:
        return box.upper <= 0 if self.slope == 0 else super().ignored(box)

    def planes(self, rounding: Rounding, *boxes: Interval) -> Planes:
        lower, upper = boxes[0].lower, boxes[0].upper
        kinked = (lower < 0) & (upper > 0)
        straight = torch.where(lower >= 0, torch.ones_like(lower), torch.full_like(lower, self.slope))
        # The chord from (lower, slope * lower) to (upper, upper); any slope in [self.slope, 1] is a lower bound.
        width = torch.where(kinked, upper - lower, torch.ones_like(lower))
        chord = torch.where(kinked, (upper - self.slope * lower) / width, straight)
        intercept = torch.where(kinked, (self.slope - chord) * lower, torch.zeros_like(lower))
        # The chord must stay above at both ends whatever its rounding did.
        intercept = intercept + kinked * rounding.gamma(1) * (upper - lower)
        # CROWN's adaptive choice: of the two extreme slopes the one that loses the smaller area.
        steep = torch.where(upper > -lower, torch.ones_like(lower), torch.full_like(lower, self.slope))
        below = torch.where(kinked, steep, straight)
        return Planes((below,), torch.zeros_like(lower), (chord,), intercept)

    def derivatives(self, rounding: Rounding, *boxes: Interval) -> tuple[Interval, ...]:
        steep = torch.ones_like(boxes[0].lower)
        least = torch.where(boxes[0].lower >= 0, steep, self.slope)
        return (Interval(least, torch.where(boxes[0].upper <= 0, least, steep)),)


@lowers("aten.relu.default")
def _relu(graph: Lowering, x: Value) -> Value:
    return graph.emit(Relu(), x)
