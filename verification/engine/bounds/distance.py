"""How near to the clip a cell can hold an adversarial example, given linear bounds of its margins.

An example of another class has `constant + slopes . z <= 0`, with `a = centre + half z` and z in [-1, 1]^K. The least norm
of such an `a` is bounded from below, and where there is no such `a` it is infinite.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.perturbation import Distortion, FlowSpace, Norm

_SLACK, _ROUNDED = 1e-9, 1e-12  # of a distance, and of the size of the box: far more than what rounding can add
_STEPS = 32  # of each bisection; they decide tightness only
_SPAN = 1e6  # multipliers of L2 lie within this factor of that of an unbounded box


@dataclass(frozen=True)
class Yardstick:
    """`||B a||_p >= ||weights a||_p`, with `p` and `weights` (K,) float64; as tight as the space allows."""

    norm: Norm
    weights: Tensor

    def of(self, a: Tensor) -> Tensor:
        """Distances of coordinates (..., K)."""
        return torch.linalg.vector_norm(self.weights * a, ord=self.norm.p, dim=-1)


def yardstick_of(space: FlowSpace | Distortion, norm: Norm) -> Yardstick:
    """The space's own weights, or that no coordinate is larger than the longest change of a pixel.

    Coordinates that may take any value for nothing weigh nothing, which is a matter of one coordinate at a time.
    """
    scales = space.scales(norm)
    if scales is not None and not bool(scales.all()):
        return Yardstick(Norm.LINF, scales.double())
    if scales is None:
        assert isinstance(space, FlowSpace)
        return Yardstick(Norm.LINF, torch.full((space.dimensions,), 1 / space.stride(norm), dtype=torch.float64))
    return Yardstick(norm, scales.double().expand(space.shape).flatten())


def least_distances(yardstick: Yardstick, centre: Tensor, half: Tensor, constants: Tensor, slopes: Tensor) -> Tensor:
    """(C,): lower bounds of `||weights (centre + half z)||` over z in [-1, 1]^K with `constants + slopes . z <= 0`.

    `constants` (C,), `slopes` (C, K). Infinite where there is no such z. A number that is no number becomes zero.
    """
    rule = {Norm.LINF: _in_linf, Norm.L2: _in_l2, Norm.L1: _in_l1}[yardstick.norm]
    # In units of the weights: x = middle + reach z.
    middle, reach = yardstick.weights * centre, yardstick.weights * half
    rounded = torch.finfo(torch.float64).eps * (len(centre) + 8) * (constants.abs() + slopes.abs().sum(1))
    impossible = constants - slopes.abs().sum(1) - rounded > 0
    # Twice, so that a functional that may vanish never seems positive: duality would multiply what it seems to be.
    distances = rule(middle, reach, constants - 2 * rounded, slopes) * (1 - _SLACK)
    distances = (distances - _ROUNDED * (middle.abs() + reach).sum()).clamp(min=0)
    return torch.where(impossible, torch.inf, distances).nan_to_num(nan=0.0, posinf=torch.inf)


def _in_linf(middle: Tensor, reach: Tensor, constants: Tensor, slopes: Tensor) -> Tensor:
    """The largest R for which the functional is positive on the part of the box with `|x| <= R`, by bisection."""
    low = torch.zeros_like(constants)
    high = low + (middle.abs() + reach).amax()
    safe = reach.clamp(min=1e-300)
    for _ in range(_STEPS):
        size = ((low + high) / 2).unsqueeze(1)
        first = ((-size - middle) / safe).clamp(-1, 1)
        last = ((size - middle) / safe).clamp(-1, 1)
        least = torch.minimum(slopes * first, slopes * last)
        positive = constants + least.sum(1) > 0
        empty = ((middle.abs() - reach) > size).any(1)
        grows = positive | empty
        low, high = torch.where(grows, size[:, 0], low), torch.where(grows, high, size[:, 0])
    return low


def _in_l2(middle: Tensor, reach: Tensor, constants: Tensor, slopes: Tensor) -> Tensor:
    """Weak duality: for every m >= 0 the squared distance is at least `min_z sum x^2 + m (constant + slopes . z)`."""
    safe = reach.clamp(min=1e-300)
    steepness = slopes / safe
    scale = 2 * (constants - steepness @ middle).abs() / steepness.square().sum(1).clamp(min=1e-300)
    scale = scale.clamp(1e-30, 1e30)
    best = (middle.abs() - reach).clamp(min=0).square().sum().expand_as(constants)
    low, high = scale / _SPAN, scale * _SPAN
    for _ in range(_STEPS):
        m = (low * high).sqrt()
        z = (-(m.unsqueeze(1) * slopes / safe / 2 + middle) / safe).clamp(-1, 1)
        linear = constants + (slopes * z).sum(1)
        # Both may nearly cancel out, and the root of what rounding leaves of them is not small.
        squares = (middle + reach * z).square().sum(1) * (1 - _ROUNDED)
        best = torch.maximum(best, squares + m * linear)
        low, high = torch.where(linear > 0, m, low), torch.where(linear > 0, high, m)
    return best.clamp(min=0).sqrt()


def _in_l1(middle: Tensor, reach: Tensor, constants: Tensor, slopes: Tensor) -> Tensor:
    """The same with `sum |x|`: the dual function is concave and piecewise linear, with kinks at `reach / |slopes|`."""
    turns = reach / slopes.abs().clamp(min=1e-300)  # (C, K)
    at_zero = (-middle / reach.clamp(min=1e-300)).clamp(-1, 1)
    best = torch.zeros_like(constants)
    for m in [torch.zeros_like(constants), *turns.clamp(max=1e30).unbind(1)]:
        points = [at_zero.expand_as(slopes), torch.ones_like(slopes), -torch.ones_like(slopes)]
        values = torch.stack([(middle + reach * z).abs() + m.unsqueeze(1) * slopes * z for z in points])
        best = torch.maximum(best, values.amin(0).sum(1) + m * constants)
    return best
