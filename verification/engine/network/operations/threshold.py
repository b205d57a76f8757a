"""Threshold: another value up to a limit. Where it jumps both values count."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.piecewise import Piece, Piecewise, straight
from verification.engine.relaxation import Interval, Rounding


@dataclass(frozen=True)
class Threshold(Piecewise):
    """`x` above `limit`, `value` up to it."""

    limit: float
    value: float

    def concrete(self, *inputs: Tensor) -> Tensor:
        return functional.threshold(inputs[0], self.limit, self.value)

    def pieces(self) -> tuple[Piece, ...]:
        return straight(-math.inf, self.limit, 0.0, self.value), straight(self.limit, math.inf, 1.0)

    def derivatives(self, rounding: Rounding, *boxes: Interval) -> tuple[Interval, ...]:
        """Across the limit f leaps from `value` to it: no slope is steep enough, unless both are the same."""
        (slopes,) = super().derivatives(rounding, *boxes)
        leaps = (boxes[0].lower <= self.limit) & (boxes[0].upper > self.limit)
        falls, rises = leaps & (self.limit < self.value), leaps & (self.limit > self.value)
        return (Interval(slopes.lower.masked_fill(falls, -math.inf), slopes.upper.masked_fill(rises, math.inf)),)


@lowers("aten.threshold.default")
def _threshold(graph: Lowering, x: Value, limit: float, value: float) -> Value:
    if not (math.isfinite(limit) and math.isfinite(value)):
        graph.refuse("a threshold that is not finite", "mend its limit and value")
    return graph.emit(Threshold(float(limit), float(value)), x)
