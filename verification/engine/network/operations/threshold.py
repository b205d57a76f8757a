"""Threshold: another value up to a limit. Where it jumps both values count."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.piecewise import Piece, Piecewise, straight


@dataclass(frozen=True)
class Threshold(Piecewise):
    """`x` above `limit`, `value` up to it."""

    limit: float
    value: float

    def concrete(self, *inputs: Tensor) -> Tensor:
        return functional.threshold(inputs[0], self.limit, self.value)

    def pieces(self) -> tuple[Piece, ...]:
        return straight(-math.inf, self.limit, 0.0, self.value), straight(self.limit, math.inf, 1.0)


@lowers("aten.threshold.default")
def _threshold(graph: Lowering, x: Value, limit: float, value: float) -> Value:
    if not (math.isfinite(limit) and math.isfinite(value)):
        graph.refuse("a threshold that is not finite", "mend its limit and value")
    return graph.emit(Threshold(float(limit), float(value)), x)
