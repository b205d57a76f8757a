"""PReLU, LeakyReLU of any slope, and the absolute value: two straight lines that meet at zero."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.piecewise import Piece, Piecewise, straight
from verification.engine.network.operations.relu import Relu


@dataclass(frozen=True)
class Kinked(Piecewise):
    """`x` for x >= 0, `left * x` below; `left` may have any sign and broadcasts to x, one for each channel say."""

    left: Tensor

    def concrete(self, *inputs: Tensor) -> Tensor:
        return torch.where(inputs[0] < 0, self.left * inputs[0], inputs[0])

    def pieces(self) -> tuple[Piece, ...]:
        return straight(-math.inf, 0.0, self.left), straight(0.0, math.inf, 1.0)


def kinked(graph: Lowering, x: Value, left: Tensor | float) -> Value:
    """ReLU's own rule where one slope from 0 to below 1 serves all elements."""
    slopes = torch.as_tensor(left, dtype=torch.float64)
    if slopes.numel() == 1 and 0 <= float(slopes) < 1:
        return graph.emit(Relu(float(slopes)), x)
    return graph.emit(Kinked(slopes), x)


@lowers("aten.leaky_relu.default")
def _leaky_relu(graph: Lowering, x: Value, slope: float = 0.01) -> Value:
    return kinked(graph, x, slope)


@lowers("aten.rrelu_with_noise_functional.default", "aten.rrelu_with_noise.default")
def _rrelu(
    graph: Lowering, x: Value, _: Value, least: float = 1 / 8, most: float = 1 / 3, training: bool = False, *__: object
) -> tuple[Value, None]:
    """In eval mode a LeakyReLU whose slope is the mean of both limits."""
    if training:
        graph.refuse("random numbers", "switch them off in eval mode")
    return kinked(graph, x, (least + most) / 2), None


@lowers("aten.abs.default")
def _abs(graph: Lowering, x: Value) -> Value:
    return kinked(graph, x, -1.0)


@lowers("aten.prelu.default", "aten._prelu_kernel.default")
def _prelu(graph: Lowering, x: Value, weight: Value) -> Value:
    if not isinstance(weight, Tensor):
        graph.refuse("a PReLU whose slopes depend on the clip")
    return kinked(
        graph, x, weight.reshape(-1, *[1] * (graph.rank(x) - 2)) if weight.numel() > 1 else weight.reshape(())
    )
