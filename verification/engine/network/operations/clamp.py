"""Limits: clamp, ReLU6, hardtanh, hard sigmoid, and the larger or smaller of two values."""

import math
from dataclasses import dataclass

from torch import Tensor

from verification.engine.network.lowering import Lowering, Reference, Value, lowers
from verification.engine.network.operations.arithmetic import Operand, add, affine, subtract
from verification.engine.network.operations.piecewise import Piece, Piecewise, straight
from verification.engine.network.operations.relu import Relu


@dataclass(frozen=True)
class Clamp(Piecewise):
    """`min(max(x, least), most)` with `least <= most`; either may be infinite."""

    least: float
    most: float
    chord = True

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0].clamp(self.least, self.most)

    def pieces(self) -> tuple[Piece, ...]:
        below = [straight(-math.inf, self.least, 0.0, self.least)] if math.isfinite(self.least) else []
        above = [straight(self.most, math.inf, 0.0, self.most)] if math.isfinite(self.most) else []
        return *below, straight(self.least, self.most, 1.0), *above


def clamp(graph: Lowering, x: Value, least: float | None, most: float | None) -> Value:
    """`x` within limits; None is no limit."""
    low, high = -math.inf if least is None else float(least), math.inf if most is None else float(most)
    if not (low <= high and low < math.inf and high > -math.inf):
        graph.refuse(f"a clamp to the limits {least} and {most}, which let nothing through", "mend the limits")
    return graph.emit(Clamp(low, high), x)


def _larger(graph: Lowering, x: Operand, y: Operand) -> Value:
    """`max(x, y) = y + relu(x - y)`, and one of both depends on the clip."""
    return add(graph, graph.emit(Relu(), subtract(graph, x, y)), y)


def _smaller(graph: Lowering, x: Operand, y: Operand) -> Value:
    """`min(x, y) = y - relu(y - x)`."""
    return subtract(graph, y, graph.emit(Relu(), subtract(graph, y, x)))


@lowers("aten.maximum.default")
def _maximum(graph: Lowering, x: Value, y: Value) -> Value:
    return _larger(graph, x, y)


@lowers("aten.minimum.default")
def _minimum(graph: Lowering, x: Value, y: Value) -> Value:
    return _smaller(graph, x, y)


@lowers("aten.clamp.default", "aten.clamp_min.default")
def _clamp(graph: Lowering, x: Value, least: float | None = None, most: float | None = None) -> Value:
    return clamp(graph, x, least, most)


@lowers("aten.hardtanh.default")
def _hardtanh(graph: Lowering, x: Value, least: float = -1.0, most: float = 1.0) -> Value:
    return clamp(graph, x, least, most)


@lowers("aten.clamp_max.default")
def _clamp_max(graph: Lowering, x: Value, most: float) -> Value:
    return clamp(graph, x, None, most)


@lowers("aten.clamp.Tensor", "aten.clamp_min.Tensor")
def _clamp_by_values(graph: Lowering, x: Operand, least: Operand | None = None, most: Operand | None = None) -> Operand:
    limited = x if least is None else _larger(graph, x, least)
    return limited if most is None else _smaller(graph, limited, most)


@lowers("aten.clamp_max.Tensor")
def _clamp_max_by_values(graph: Lowering, x: Value, most: Value) -> Value:
    return _smaller(graph, x, most)


@lowers("aten.hardsigmoid.default")
def _hardsigmoid(graph: Lowering, x: Reference) -> Value:
    return affine(graph, clamp(graph, affine(graph, x, 1.0, 3.0), 0.0, 6.0), 1.0 / 6.0, 0.0)
