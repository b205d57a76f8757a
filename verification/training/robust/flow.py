"""`flow`: adversarial training on changed flows (Goodfellow et al., ICLR 2015; Madry et al., ICLR 2018), in L2."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from verification.training.robust.loss import RobustLoss, closest_margins, imposed

#: The attack starts from a random change of this share of the radius: at zero the bilinear interpolant has a kink.
_START = 0.1


@dataclass(frozen=True)
class FlowLoss(RobustLoss):
    """Trains on clips whose flow was changed by `radius`, L2 over the whole clip, in the direction of steepest descent."""

    name: ClassVar[str] = "flow"

    def worst_loss(self, network: nn.Module, clips: Tensor, labels: Tensor, radius: float) -> Tensor:
        count, length, _, height, width = clips.shape
        start = _of_length(torch.randn((count, length - 1, 2, height, width), device=clips.device), _START * radius)
        start.requires_grad_(True)
        margins = closest_margins(network(imposed(clips, start)), labels)
        (gradient,) = torch.autograd.grad(margins.sum(), start)
        changed = imposed(clips, _of_length(-gradient, radius))
        return functional.cross_entropy(network(changed), labels)


def _of_length(delta: Tensor, length: float) -> Tensor:
    """Each of (n, ...) scaled to this L2 norm."""
    norms = delta.flatten(1).norm(dim=1).clamp_min(1e-12)
    return delta * (length / norms).view(-1, *[1] * (delta.dim() - 1))
