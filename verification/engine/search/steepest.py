"""Where a linear function falls fastest within an Lp ball: the extreme points that the search moves towards."""

import torch
from torch import Tensor

from verification.engine.perturbation import Norm


def steepest(gradient: Tensor, norm: Norm, radius: float, reach: float, room: Tensor | None = None) -> Tensor:
    """The point `u` with `||u||_p <= radius` that minimises `gradient . u`; the shape is that of `gradient`.

    In L1 the exact minimiser moves a single coordinate, for which a linear model is worth little beyond `reach`: there
    each coordinate goes at most that far and as many move as the radius pays for. `room`: how far each coordinate can go
    against its gradient at all. One that cannot move is left alone, and in L1 none goes further than it can.
    """
    if room is not None:
        gradient = torch.where(room > 0, gradient, torch.zeros_like(gradient))
    if norm is Norm.LINF:
        return gradient.sign() * -radius
    if norm is Norm.L2:
        return gradient * (-radius / float(torch.linalg.vector_norm(gradient).clamp(min=1e-30)))
    flat = gradient.flatten()
    if room is not None:
        return _filled(flat, radius, room.flatten().clamp(max=reach)).view_as(gradient)
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
