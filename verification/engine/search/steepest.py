"""Where a linear function falls fastest within an Lp ball: the extreme points that the search moves towards."""

import torch
from torch import Tensor

from verification.engine.perturbation import Norm, Space


def steepest(
    space: Space, gradient: Tensor, norm: Norm, radius: float, reach: float, room: Tensor | None = None
) -> Tensor:
    """Coordinates `a` with `||B a||_p <= radius` that go down `gradient . a` as far as they can.

    In L1 the exact minimiser moves a single coordinate, for which a linear model is worth little beyond `reach`: there
    each coordinate goes at most that far and as many move as the radius pays for. `room`: how far each coordinate can go
    against its gradient at all. One that cannot move is left alone, and in L1 none goes further than it can.
    """
    if room is not None:
        gradient = torch.where(room > 0, gradient, torch.zeros_like(gradient))
    scales = space.scales(norm)
    if scales is None:
        return space.extreme(gradient, norm) * radius
    # In the coordinates s a the norm is the p-norm.
    scales = scales.to(gradient)
    gradient = gradient / scales
    if norm is Norm.LINF:
        scaled = gradient.sign() * -radius
    elif norm is Norm.L2:
        scaled = gradient * (-radius / float(torch.linalg.vector_norm(gradient).clamp(min=1e-30)))
    elif room is None and scales.numel() == 1:
        scaled = _shared(gradient, radius, reach * float(scales))
    else:
        most = torch.full_like(gradient, reach) if room is None else room.clamp(max=reach)
        scaled = _filled(gradient.flatten(), radius, (most * scales).flatten()).view_as(gradient)
    return scaled / scales


def _shared(gradient: Tensor, radius: float, reach: float) -> Tensor:
    """The steepest coordinates, all equally far, as many as the radius pays for if each goes about as far as `reach`."""
    flat = gradient.flatten()
    reach = max(reach, radius / flat.numel())
    count = min(max(1, round(radius / reach)), flat.numel())
    chosen = flat.abs().topk(count).indices
    moved = torch.zeros_like(flat)
    moved[chosen] = flat[chosen].sign() * (-radius / count)
    return moved.view_as(gradient)


def _filled(gradient: Tensor, radius: float, room: Tensor) -> Tensor:
    """The steepest coordinates first, each as far as it can go, until the radius is spent."""
    order = gradient.abs().argsort(descending=True)
    most = room[order]
    parts = (radius - (most.cumsum(0) - most)).clamp(min=0).minimum(most)
    moved = torch.zeros_like(gradient)
    moved[order] = -gradient[order].sign() * parts
    return moved
