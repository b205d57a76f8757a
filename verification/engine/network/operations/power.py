"""Whole powers of one node, above all squares: tighter than the product of two nodes that happen to be the same."""

import math
from dataclasses import dataclass

from torch import Tensor

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.piecewise import Piece, Piecewise


@dataclass(frozen=True)
class Power(Piecewise):
    """`x^exponent` for a whole exponent >= 2: convex if it is even, otherwise concave up to zero and convex from there."""

    exponent: int

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0] ** self.exponent

    def _derivative(self, x: Tensor) -> Tensor:
        return self.exponent * x ** (self.exponent - 1)

    def pieces(self) -> tuple[Piece, ...]:
        even, odd = [(-math.inf, math.inf, 1)], [(-math.inf, 0.0, -1), (0.0, math.inf, 1)]
        parts = odd if self.exponent % 2 else even
        return tuple(Piece(*part, self.concrete, self._derivative) for part in parts)


@lowers("aten.pow.Tensor_Scalar")
def _power(graph: Lowering, x: Value, exponent: float) -> Value:
    if not math.isfinite(exponent) or exponent != int(exponent) or exponent < 1:
        graph.refuse(f"the power {exponent}; whole powers from 1 on are supported")
    return x if exponent == 1 else graph.emit(Power(int(exponent)), x)
