"""Sigmoid and tanh: S-shaped functions, convex left of zero and concave right of it.

Any slope gives a sound plane once its intercept is the exact extreme of `f(x) - slope x` on the interval; that extreme
lies at an end of the interval or where `f'(x) = slope`, which both functions answer in closed form (docs/bounds.md). So
soundness never rests on how well a tangent point was found, only tightness does.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.base import Elementwise
from verification.engine.relaxation import Interval, Planes, Rounding

_BISECTIONS = 12  # of the tangent point; they decide tightness, never soundness


@dataclass(frozen=True)
class SShaped(Elementwise):
    """Increasing, odd about its value at zero, with slope falling away from zero on both sides."""

    exact_interval = True

    @abstractmethod
    def slope(self, x: Tensor) -> Tensor:
        """f'(x)."""

    @abstractmethod
    def steepness(self, slope: Tensor) -> Tensor:
        """The x >= 0 with f'(x) = slope; 0 where the slope is never reached, finite where it is zero."""

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        result = Interval(self.concrete(boxes[0].lower), self.concrete(boxes[0].upper))
        return result.widened(rounding.function)

    def planes(self, rounding: Rounding, *boxes: Interval) -> Planes:
        lower, upper = boxes[0].lower, boxes[0].upper
        above = self._upper_slope(lower, upper)
        below = self._upper_slope(-upper, -lower)  # f(x) = 2 f(0) - f(-x): a lower plane is an upper plane mirrored
        high = self._extreme(lower, upper, above, highest=True)
        low = self._extreme(lower, upper, below, highest=False)
        span = torch.maximum(lower.abs(), upper.abs())
        margin = rounding.function + rounding.gamma(4) * span
        return Planes((below,), low - margin, (above,), high + margin)

    def derivatives(self, rounding: Rounding, *boxes: Interval) -> tuple[Interval, ...]:
        """The slope falls away from zero: it is greatest at the point nearest to zero, least at the farthest."""
        box = boxes[0]
        nearest = torch.zeros_like(box.lower).clamp(box.lower, box.upper)
        return (Interval(self.slope(box.magnitude), self.slope(nearest)).widened(rounding.function),)

    def _upper_slope(self, lower: Tensor, upper: Tensor) -> Tensor:
        """The slope of a tight upper plane: chord, or tangent at the middle, or tangent that starts in the lower end."""
        width = (upper - lower).clamp(min=1e-12)
        chord = (self.concrete(upper) - self.concrete(lower)) / width
        middle = self.slope((lower + upper) / 2)
        # A tangent at d >= 0 lies above f at `lower` from some d on; find the smallest such d by bisection.
        near, far = torch.zeros_like(lower), upper.clamp(min=0)
        for _ in range(_BISECTIONS):
            d = (near + far) / 2
            covers = self.concrete(d) + self.slope(d) * (lower - d) >= self.concrete(lower)
            near, far = torch.where(covers, near, d), torch.where(covers, d, far)
        tangent = self.slope(far)
        reaches = self.slope(upper) * width <= self.concrete(upper) - self.concrete(lower)
        mixed = torch.where(reaches, tangent, chord)
        slope = torch.where(lower >= 0, middle, torch.where(upper <= 0, chord, mixed))
        return torch.where(upper - lower < 1e-9, middle, slope)

    def _extreme(self, lower: Tensor, upper: Tensor, slope: Tensor, highest: bool) -> Tensor:
        """The maximum (minimum) of `f(x) - slope x` on the interval, by its ends and its critical points."""
        turn = self.steepness(slope)
        best = self.concrete(lower) - slope * lower
        for x in (upper, turn.clamp(lower, upper), (-turn).clamp(lower, upper)):
            value = self.concrete(x) - slope * x
            best = torch.maximum(best, value) if highest else torch.minimum(best, value)
        return best


@dataclass(frozen=True)
class Sigmoid(SShaped):
    """`1 / (1 + exp(-x))`; f' = f (1 - f), so f'(x) = s where f = (1 + sqrt(1 - 4 s)) / 2."""

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0].sigmoid()

    def slope(self, x: Tensor) -> Tensor:
        value = x.sigmoid()
        return value * (1 - value)

    def steepness(self, slope: Tensor) -> Tensor:
        high = (1 + (1 - 4 * slope).clamp(min=0).sqrt()) / 2
        return (high.square() / slope.clamp(min=1e-30)).log().clamp(0, 1e3)  # logit(high), 1 - high = slope / high


@dataclass(frozen=True)
class Tanh(SShaped):
    """`tanh x`; f' = 1 - f^2, so f'(x) = s where f = sqrt(1 - s)."""

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0].tanh()

    def slope(self, x: Tensor) -> Tensor:
        return 1 - x.tanh().square()

    def steepness(self, slope: Tensor) -> Tensor:
        value = (1 - slope).clamp(min=0).sqrt()
        return ((1 + value).square() / slope.clamp(min=1e-30)).log().clamp(0, 2e3) / 2  # artanh, (1-v)(1+v) = slope


@lowers("aten.sigmoid.default")
def _sigmoid(graph: Lowering, x: Value) -> Value:
    return graph.emit(Sigmoid(), x)


@lowers("aten.tanh.default")
def _tanh(graph: Lowering, x: Value) -> Value:
    return graph.emit(Tanh(), x)
