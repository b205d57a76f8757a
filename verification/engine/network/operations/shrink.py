"""Functions that leave a part of the line out: threshold, soft and hard shrinkage. The jumps are bounded from both sides."""

import math
from dataclasses import dataclass

import torch
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


@dataclass(frozen=True)
class Shrink(Piecewise):
    """Zero within `limit` >= 0 of zero; outside it `x` moved towards zero by `shift`."""

    limit: float
    shift: float

    def concrete(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return torch.where(x.abs() <= self.limit, 0.0, x - self.shift * x.sign())

    def pieces(self) -> tuple[Piece, ...]:
        return (
            straight(-math.inf, -self.limit, 1.0, self.shift),
            straight(-self.limit, self.limit, 0.0),
            straight(self.limit, math.inf, 1.0, -self.shift),
        )


@lowers("aten.threshold.default")
def _threshold(graph: Lowering, x: Value, limit: float, value: float) -> Value:
    if not (math.isfinite(limit) and math.isfinite(value)):
        graph.refuse("a threshold that is not finite", "mend its limit and value")
    return graph.emit(Threshold(float(limit), float(value)), x)


@lowers("aten.softshrink.default")
def _softshrink(graph: Lowering, x: Value, limit: float = 0.5) -> Value:
    return _shrunk(graph, x, limit, limit)


@lowers("aten.hardshrink.default")
def _hardshrink(graph: Lowering, x: Value, limit: float = 0.5) -> Value:
    return _shrunk(graph, x, limit, 0.0)


def _shrunk(graph: Lowering, x: Value, limit: float, shift: float) -> Value:
    if not 0 <= limit < math.inf:
        graph.refuse(f"a shrinkage by {limit}", "use a limit of at least zero")
    return graph.emit(Shrink(float(limit), float(shift)), x)
