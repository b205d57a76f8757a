"""Where a linear function falls fastest within an Lp ball: the extreme points that the search moves towards."""

import torch
from torch import Tensor

from verification.engine.perturbation import Norm


def steepest(gradient: Tensor, norm: Norm, radius: float, reach: float) -> Tensor:
    """The point `u` with `||u||_p <= radius` that minimises `gradient . u`; the shape is that of `gradient`.

    In L1 the exact minimiser moves a single coordinate, for which a linear model is worth little beyond `reach`: there
    each coordinate goes at most that far and as many move as the radius pays for.
    """
    if norm is Norm.LINF:
        return gradient.sign() * -radius
    if norm is Norm.L2:
        return gradient * (-radius / float(torch.linalg.vector_norm(gradient).clamp(min=1e-30)))
    flat = gradient.flatten()
    reach = max(reach, radius / flat.numel())
    count = min(max(1, round(radius / reach)), flat.numel())
    chosen = flat.abs().topk(count).indices
    moved = torch.zeros_like(flat)
    moved[chosen] = flat[chosen].sign() * (-radius / count)
    return moved.view_as(gradient)
