"""Derivatives of the warp: gradients with respect to pixels as gradients with respect to the flow (docs/bounds.md, section 8).

A Lipschitz constant compares any two clips of a ball, not one with its centre: here count all partial derivatives of the
interpolant within reach, not the secant slopes that begin at the pixel itself.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.bounds.lattice import knots, shifted
from verification.engine.relaxation import Interval, Rounding

_FAR = 6.0  # pixels; beyond it a whole neighbouring row counts where part of it would


def partial_derivatives(frame: Tensor, reach: float) -> Interval:
    """(2, c, h, w): the derivatives along x and along y of the interpolant of `frame` (c, h, w) within `reach` pixels.

    Widened by 1e-14 in float64 for the rounding of differences. Zero where nothing moves.
    """
    if reach == 0.0:
        still = torch.zeros((2, *frame.shape), dtype=frame.dtype, device=frame.device)
        return Interval(still, still)
    ends = [_along(frame, reach, axis) for axis in (-1, -2)]
    least, most = (torch.stack(side) for side in zip(*ends, strict=True))
    return Interval(least, most).widened(1e-14 if frame.dtype == torch.float64 else 0.0)


def _along(frame: Tensor, reach: float, axis: int) -> tuple[Tensor, Tensor]:
    """The least and greatest derivative along `axis`.

    It is constant in each cell along the axis and linear between pixels across it: its extremes lie on whole lines and on
    those at both ends.
    """
    n, across = math.ceil(reach), -3 - axis
    index = torch.arange(frame.shape[axis], device=frame.device)
    steps = frame - frame.index_select(axis, (index - 1).clamp(min=0))  # entry i is the cell between pixels i - 1 and i
    lines = [shifted(steps, across, offset) for offset in knots(reach if reach <= _FAR else n)]
    stacked = torch.stack(lines)
    return -_greatest(-stacked.amin(0), n, axis), _greatest(stacked.amax(0), n, axis)


def _greatest(steps: Tensor, n: int, axis: int) -> Tensor:
    """The greatest of the cells between the pixels x - n and x + n; the replicated edges have slope zero."""
    padded = functional.pad(steps, (n, n, 0, 0) if axis == -1 else (0, 0, n, n))
    pooled = functional.max_pool2d(padded, (1, 2 * n) if axis == -1 else (2 * n, 1), stride=1)
    return pooled.narrow(axis, 1, steps.shape[axis])


def flow_gradient(frames: Tensor, reaches: Sequence[float], gradient: Interval, rounding: Rounding) -> Interval:
    """`gradient` (K, 1, l, c, h, w) with respect to the perturbed clip, as one with respect to delta: (K, l-1, 2, h, w).

    `frames` (l, c, h, w), frame t displaced by at most `reaches[t]` in both components. All signs are turned: the warp
    subtracts displacements.
    """
    boxes = [partial_derivatives(frame, reach) for frame, reach in zip(frames, reaches, strict=True)]
    slopes = Interval(torch.stack([box.lower for box in boxes]), torch.stack([box.upper for box in boxes]))
    rates = Interval(gradient.lower[:, 0].unsqueeze(2), gradient.upper[:, 0].unsqueeze(2)).times(slopes, 0.0)
    lower, upper, size = (_from_each_flow_on(x.sum(3)) for x in (rates.lower, rates.upper, rates.magnitude))
    margin = rounding.gamma(frames.shape[0] * frames.shape[1]) * size + rounding.underflow
    return Interval(lower, upper).widened(margin)


def _from_each_flow_on(rates: Tensor) -> Tensor:
    """Rates (K, l, ...) of the frames' displacements as rates (K, l-1, ...) of the flows, which move all later frames."""
    return rates[:, 1:].flip(1).cumsum(1).flip(1)
