"""exp, ELU, SELU, CELU, softplus and log-sigmoid: exponentials that are convex (or concave) all the way."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.arithmetic import affine
from verification.engine.network.operations.piecewise import Piece, Piecewise, straight
from verification.engine.relaxation import Interval, Rounding


@dataclass(frozen=True)
class Exp(Piecewise):
    """`exp x`; where it overflows nothing is proven."""

    chord = True

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0].exp()

    def pieces(self) -> tuple[Piece, ...]:
        return (Piece(-math.inf, math.inf, 1, torch.exp, torch.exp),)


@dataclass(frozen=True)
class Elu(Piecewise):
    """`height (exp(rate x) - 1)` for x <= 0, `scale x` above; `rate > 0`."""

    height: float
    rate: float
    scale: float

    def concrete(self, *inputs: Tensor) -> Tensor:
        return torch.where(inputs[0] > 0, self.scale * inputs[0], self._tail(inputs[0]))

    def _tail(self, x: Tensor) -> Tensor:
        return self.height * torch.expm1(self.rate * x.clamp(max=0))

    def pieces(self) -> tuple[Piece, ...]:
        bend = 1 if self.height > 0 else -1
        tail = Piece(-math.inf, 0.0, bend, self._tail, lambda x: self.height * self.rate * (self.rate * x).exp())
        return tail, straight(0.0, math.inf, self.scale)


@dataclass(frozen=True)
class Softplus(Piecewise):
    """`log(1 + exp(rate x)) / rate`, and as torch has it the identity from `rate x > threshold` on; `rate > 0`."""

    rate: float
    threshold: float

    def concrete(self, *inputs: Tensor) -> Tensor:
        return torch.where(self.rate * inputs[0] > self.threshold, inputs[0], self._curve(inputs[0]))

    def _curve(self, x: Tensor) -> Tensor:
        return torch.logaddexp(self.rate * x, torch.zeros_like(x)) / self.rate

    def pieces(self) -> tuple[Piece, ...]:
        end = self.threshold / self.rate
        # f jumps at the threshold, whose place is known but for rounding: both formulas count around it.
        overlap = 1e-12 * abs(end) if math.isfinite(end) else 0.0
        curve = Piece(-math.inf, end + overlap, 1, self._curve, lambda x: (self.rate * x).sigmoid())
        return (curve, straight(end - overlap, math.inf, 1.0)) if math.isfinite(end) else (curve,)

    def derivatives(self, rounding: Rounding, *boxes: Interval) -> tuple[Interval, ...]:
        """At the threshold f falls by a step: across it no slope is steep enough."""
        (slopes,) = super().derivatives(rounding, *boxes)
        curve, *identity = self.pieces()
        if not identity:
            return (slopes,)
        jumps = (boxes[0].lower <= curve.end) & (boxes[0].upper >= identity[0].start)
        return (Interval(slopes.lower.masked_fill(jumps, -math.inf), slopes.upper),)


@lowers("aten.exp.default")
def _exp(graph: Lowering, x: Value) -> Value:
    return graph.emit(Exp(), x)


@lowers("aten.expm1.default")
def _expm1(graph: Lowering, x: Value) -> Value:
    return affine(graph, _exp(graph, x), 1.0, -1.0)


@lowers("aten.elu.default")
def _elu(graph: Lowering, x: Value, alpha: float = 1.0, scale: float = 1.0, rate: float = 1.0) -> Value:
    if rate <= 0:
        graph.refuse("an ELU whose exponent falls")
    return graph.emit(Elu(float(alpha * scale), float(rate), float(scale)), x)


@lowers("aten.celu.default")
def _celu(graph: Lowering, x: Value, alpha: float = 1.0) -> Value:
    return _elu(graph, x, alpha, 1.0, 1.0 / alpha)


@lowers("aten.softplus.default")
def _softplus(graph: Lowering, x: Value, rate: float = 1.0, threshold: float = 20.0) -> Value:
    if rate <= 0:
        graph.refuse("a softplus whose beta is not positive")
    return graph.emit(Softplus(float(rate), float(threshold)), x)


@lowers("aten.log_sigmoid.default")
def _log_sigmoid(graph: Lowering, x: Value) -> Value:
    """`log sigmoid(x) = -softplus(-x)`."""
    return affine(graph, graph.emit(Softplus(1.0, math.inf), affine(graph, x, -1.0, 0.0)), -1.0, 0.0)
