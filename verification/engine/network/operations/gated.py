"""GELU, SiLU and hardswish: the input times a gate that opens with it. Concave, convex in the middle, concave again."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.piecewise import Piece, Piecewise, straight

_CUBIC = 0.044715  # of the tanh approximation: u = k (x + _CUBIC x^3), k = sqrt(2 / pi)
_K = math.sqrt(2 / math.pi)


def _root(rising: Callable[[float], float]) -> float:
    """Where an increasing function on [0, 10] is zero."""
    low, high = 0.0, 10.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return low


def _wave(turn: float, value: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]) -> tuple[Piece, ...]:
    """Convex between -turn and turn, concave outside."""
    ends = [(-math.inf, -turn, -1), (-turn, turn, 1), (turn, math.inf, -1)]
    return tuple(Piece(start, end, bend, value, slope) for start, end, bend in ends)


@dataclass(frozen=True)
class Gelu(Piecewise):
    """`x Phi(x)`; f'' = phi(x) (2 - x^2)."""

    def concrete(self, *inputs: Tensor) -> Tensor:
        return functional.gelu(inputs[0])

    def pieces(self) -> tuple[Piece, ...]:
        return _wave(math.sqrt(2), self.concrete, self._derivative)

    def _derivative(self, x: Tensor) -> Tensor:
        density = (-x.square() / 2).exp() / math.sqrt(2 * math.pi)
        return (1 + (x / math.sqrt(2)).erf()) / 2 + x * density


def _tanh_gelu_turn(x: float) -> float:
    """f'' > 0 where `k x tanh(u) (1 + 3 y)^2 / (1 + 6 y) < 1` with y = _CUBIC x^2; every factor grows with x > 0."""
    y = _CUBIC * x * x
    return _K * x * math.tanh(_K * (x + y * x)) * (1 + 3 * y) ** 2 / (1 + 6 * y) - 1


_TANH_GELU_TURN = _root(_tanh_gelu_turn)


@dataclass(frozen=True)
class TanhGelu(Piecewise):
    """`x (1 + tanh u) / 2` with `u = k (x + 0.044715 x^3)`: GELU's common approximation."""

    def concrete(self, *inputs: Tensor) -> Tensor:
        return functional.gelu(inputs[0], approximate="tanh")

    def pieces(self) -> tuple[Piece, ...]:
        return _wave(_TANH_GELU_TURN, self.concrete, self._derivative)

    def _derivative(self, x: Tensor) -> Tensor:
        x = x.clamp(-1e3, 1e3)  # the derivative is 0 or 1 long before, and cubes stay finite
        gate = (_K * (x + _CUBIC * x**3)).tanh()
        return (1 + gate) / 2 + x / 2 * (1 - gate) * (1 + gate) * _K * (1 + 3 * _CUBIC * x.square())


_SILU_TURN = _root(lambda x: x * math.tanh(x / 2) - 2)


@dataclass(frozen=True)
class Silu(Piecewise):
    """`x sigmoid(x)`; f'' = sigmoid'(x) (2 - x tanh(x / 2)), whose last factor falls with |x|."""

    def concrete(self, *inputs: Tensor) -> Tensor:
        return functional.silu(inputs[0])

    def pieces(self) -> tuple[Piece, ...]:
        return _wave(_SILU_TURN, self.concrete, self._derivative)

    def _derivative(self, x: Tensor) -> Tensor:
        gate = x.sigmoid()
        return gate + x * gate * (1 - gate)


@dataclass(frozen=True)
class Hardswish(Piecewise):
    """`x min(max(x + 3, 0), 6) / 6`: zero, a parabola, the identity."""

    def concrete(self, *inputs: Tensor) -> Tensor:
        return functional.hardswish(inputs[0])

    def pieces(self) -> tuple[Piece, ...]:
        parabola = Piece(-3.0, 3.0, 1, lambda x: x * (x + 3) / 6, lambda x: (2 * x + 3) / 6)
        return straight(-math.inf, -3.0, 0.0), parabola, straight(3.0, math.inf, 1.0)


@lowers("aten.gelu.default")
def _gelu(graph: Lowering, x: Value, *, approximate: str = "none") -> Value:
    return graph.emit(TanhGelu() if approximate == "tanh" else Gelu(), x)


@lowers("aten.silu.default")
def _silu(graph: Lowering, x: Value) -> Value:
    return graph.emit(Silu(), x)


@lowers("aten.hardswish.default")
def _hardswish(graph: Lowering, x: Value) -> Value:
    return graph.emit(Hardswish(), x)
