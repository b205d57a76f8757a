"""How the pixels of an L2 ball share its radius (docs/bounds.md, section 3).

A pixel that takes the part z of the radius moves within the reach of z alone, where its slopes are those of a small
neighbourhood. Only few pixels can take much: `sum z_x^2 <= r^2`. So the slopes that hold within the whole reach need not
be paid for every pixel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from verification.engine.relaxation import Rounding

_CUTS = 24  # bisections of the multiplier of `shared_slope`, cheap because nothing is left to maximise
_STEPS = 6  # of the search for the multiplier; they decide tightness, never soundness


def shared_fall(slopes: Tensor, budgets: Sequence[float]) -> Tensor:
    """An upper bound of `sum_x fall_x(z_x)` over all `z >= 0` with `sum z_x^2 <= r^2`, r = budgets[-1]; (rows,).

    `slopes` (zones, rows, pixels): `fall_x(z) <= slopes[i, :, x] z` wherever `z <= budgets[i]`; budgets rise.

    For every multiplier m > 0 weak duality gives `m r^2 + sum_x max_z (fall_x(z) - m z^2)`, and the inner maximum is
    the largest over the zones, in each of which it is taken at an end or at `slope / 2 m`.
    """
    radius = budgets[-1]
    # The best multiplier lies between those of two balls in which one set of slopes held everywhere.
    low, high = (torch.linalg.vector_norm(s, dim=1) / (2 * radius) for s in (slopes[0], slopes.amax(0)))
    least = torch.finfo(slopes.dtype).tiny ** 0.5  # where all slopes are zero; its square is still a number
    low, high = low.clamp(min=least), high.clamp(min=least)
    best = torch.full_like(low, torch.inf)
    for _ in range(_STEPS):
        m = (low * high).sqrt()
        value, spent = _dual(slopes, budgets, m.unsqueeze(1))
        best = torch.minimum(best, m * radius * radius + value)
        dear = spent < radius * radius  # the multiplier is too large: less than the radius is spent
        low, high = torch.where(dear, low, m), torch.where(dear, m, high)
    return best


def _dual(slopes: Tensor, budgets: Sequence[float], m: Tensor) -> tuple[Tensor, Tensor]:
    """`sum_x max_z (fall_x(z) - m z^2)` and the `sum z_x^2` where it is attained; (rows,) each."""
    best = torch.zeros_like(slopes[0])
    where = torch.zeros_like(best)
    least = 0.0
    for slope, most in zip(slopes, budgets, strict=True):
        z = (slope / (2 * m)).clamp(least, most)
        value = z * (slope - m * z)
        where = torch.where(value > best, z, where)
        best = torch.maximum(best, value)
        least = most
    return best.sum(1), where.square().sum(1)


def shared_slope(slopes: Tensor, budgets: Sequence[float], rounding: Rounding) -> Tensor:
    """An upper bound of the Euclidean norm of `slope_x(z_x)` over all `z >= 0` with `sum z_x^2 <= r^2`; (rows,).

    `slopes` (zones, rows, pixels): `slope_x(z) <= slopes[i, :, x]` wherever `z <= budgets[i]`; budgets rise to r. Pixel x
    is in zone i only if it has spent the budget of the zone before: weak duality gives for every multiplier m >= 0
    `m r^2 + sum_x max_i (slopes[i, x]^2 - m budgets[i - 1]^2)`.
    """
    squares = slopes.square()
    # The radius is the unit of budgets.
    price = squares.new_tensor([0.0, *(budget / budgets[-1] for budget in budgets[:-1])]).square().view(-1, 1, 1)
    most = squares.amax(0).sum(1)
    low, high = torch.zeros_like(most), most
    best = most
    for _ in range(_CUTS):
        m = (low + high) / 2
        value, zone = (squares - m.view(1, -1, 1) * price).max(0)
        best = torch.minimum(best, m + value.sum(1))
        cheap = price.view(-1)[zone].sum(1) > 1  # more than the radius is spent
        low, high = torch.where(cheap, m, low), torch.where(cheap, high, m)
    # m is at most `most`, and the differences are at most as large as the squares: so is what rounds.
    return (best + rounding.gamma(2 * slopes.shape[2]) * 3 * most).sqrt()
