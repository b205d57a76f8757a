"""Functions of one variable as the checker knows them: where they bend sharply, and how much they bend elsewhere.

Between two points at a distance h a function differs from the straight line through its values there by at most `h^2 / 8` times
its greatest second derivative. So its extremes above any line are known from its values on a grid, to any accuracy. This is the
checker's own rule for all of them; it knows nothing of the operations' relaxations (docs/bounds.md, "Certificates").
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from verification.engine.network.operations import clamp, exponential, gated, kinked, power
from verification.engine.network.operations.base import Operation
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.sigmoid import Sigmoid, Tanh

#: |f''| is nowhere larger: sigmoid'' = s (1 - s) (1 - 2 s), tanh'' = -2 t (1 - t^2).
SIGMOID_BENDS = 1 / (6 * math.sqrt(3)) + 1e-9
TANH_BENDS = 4 / (3 * math.sqrt(3)) + 1e-9
#: What one evaluation of a function may be off, relative to 1 and to what it adds up.
EVALUATED = 1e-12
_CELLS = 48  # of the grid

_Bound = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Curve:
    """A continuous function; `bends` bounds |f''| between `lower` and `upper`, the `knots` left out.

    `blur`, on the same interval: how far the operation may be from the function. Knots are numbers, or tensors that broadcast.
    """

    function: Callable[[Tensor], Tensor]
    bends: _Bound
    knots: tuple[float, ...] = ()
    blur: _Bound | None = None

    def extremes(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the greatest value of `f(x) - slope x` for `lower <= x <= upper`, all of one shape; rounded outward."""
        width = upper - lower
        shares = torch.linspace(0, 1, _CELLS + 1, dtype=lower.dtype, device=lower.device)
        inner = [(lower + share * width).clamp(lower, upper) for share in shares[1:-1]]
        kinks = [torch.full_like(lower, knot).clamp(lower, upper) for knot in self.knots]
        least = torch.full_like(lower, math.inf)
        most, size = -least, torch.zeros_like(lower)
        for x in (lower, *inner, *kinks, upper):
            value, line = self.function(x), slope * x
            least, most = torch.minimum(least, value - line), torch.maximum(most, value - line)
            size = torch.maximum(size, value.abs() + line.abs())
        # The points are rounded as well: cells may be a little wider than they should be.
        lost = (1.001 * width / _CELLS).square() / 8 * self.bends(lower, upper) + EVALUATED * (1 + size)
        if self.blur is not None:
            lost = lost + self.blur(lower, upper)
        return least - lost, most + lost

    def slope_at(self, x: Tensor) -> Tensor:
        """About the derivative; whatever it is, `extremes` are right."""
        step = 1e-6 * (1 + x.abs())
        slope = (self.function(x + step) - self.function(x - step)) / (2 * step)
        return slope.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def curve_of(operation: Operation) -> Curve | None:
    """The curve of an operation of one variable; None where the checker has no rule."""
    make = _CURVES.get(type(operation))
    return None if make is None else make(operation)


def _at_most(bound: float) -> _Bound:
    return lambda lower, _: torch.full_like(lower, bound)


def _straight(operation: Operation, *knots: float) -> Curve:
    """Straight between its knots."""
    return Curve(operation.concrete, _at_most(0.0), tuple(knot for knot in knots if math.isfinite(knot)))


def _smooth(bound: float) -> Callable[[Operation], Curve]:
    return lambda operation: Curve(operation.concrete, _at_most(bound))


def _clamp(operation: Operation) -> Curve:
    limits = cast(clamp.Clamp, operation)
    return _straight(operation, limits.least, limits.most)


def _exp(operation: Operation) -> Curve:
    return Curve(operation.concrete, lambda _, upper: upper.exp() * (1 + 1e-9))


def _elu(operation: Operation) -> Curve:
    """Straight above zero; below `|f''| = |height| rate^2 exp(rate x)`."""
    elu = cast(exponential.Elu, operation)
    most = abs(elu.height) * elu.rate**2 * (1 + 1e-9)
    return Curve(operation.concrete, lambda _, upper: most * (elu.rate * upper.clamp(max=0)).exp(), (0.0,))


def _softplus(operation: Operation) -> Curve:
    """`f'' = rate sigmoid'(rate x)`. Above its threshold torch takes the identity, which is a little less."""
    softplus = cast(exponential.Softplus, operation)
    zero = torch.zeros((), dtype=torch.float64)

    def function(x: Tensor) -> Tensor:
        return torch.logaddexp(softplus.rate * x, zero.to(x)) / softplus.rate

    at = softplus.threshold
    jump = (max(0.0, -at) + math.log1p(math.exp(-abs(at)))) / softplus.rate * (1 + 1e-9)

    def blur(_: Tensor, upper: Tensor) -> Tensor:
        return torch.where(upper * softplus.rate + 1e-9 * (1 + abs(at)) < at, zero.to(upper), jump)

    return Curve(function, _at_most(softplus.rate / 4 * (1 + 1e-9)), blur=blur)


def _power(operation: Operation) -> Curve:
    n = cast(power.Power, operation).exponent

    def bends(lower: Tensor, upper: Tensor) -> Tensor:
        return n * (n - 1) * torch.maximum(lower.abs(), upper.abs()) ** (n - 2) * (1 + 1e-9)

    return Curve(operation.concrete, bends)


_CURVES: dict[type[Operation], Callable[[Operation], Curve]] = {
    Relu: lambda operation: _straight(operation, 0.0),
    kinked.Kinked: lambda operation: _straight(operation, 0.0),
    clamp.Clamp: _clamp,
    Sigmoid: _smooth(SIGMOID_BENDS),
    Tanh: _smooth(TANH_BENDS),
    gated.Gelu: _smooth(2 / math.sqrt(2 * math.pi) + 1e-9),  # phi(x) (2 - x^2)
    gated.Silu: _smooth(0.5 + 1e-9),  # sigmoid'(x) (2 - x tanh(x / 2))
    gated.Hardswish: lambda operation: Curve(operation.concrete, _at_most(1 / 3 + 1e-9), (-3.0, 3.0)),
    exponential.Exp: _exp,
    exponential.Elu: _elu,
    exponential.Softplus: _softplus,
    power.Power: _power,
}
