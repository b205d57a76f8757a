"""`interval`: training on worst-case logits by interval bound propagation (Gowal et al., ICCV 2019), in L-infinity."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from verification.engine.bounds.ball import ball_around
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Rounding
from verification.training.robust.box import Box, margins, propagated
from verification.training.robust.loss import RobustLoss, space_of


@dataclass(frozen=True)
class IntervalLoss(RobustLoss):
    """Trains on the least margins that intervals allow while no component of a flow changes by more than `radius` pixels."""

    name: ClassVar[str] = "interval"

    def worst_loss(self, network: nn.Module, clips: Tensor, labels: Tensor, radius: float) -> Tensor:
        logits = propagated(network, pixel_box(clips, radius))
        return functional.cross_entropy(-margins(logits, labels), labels)


@torch.no_grad()
def pixel_box(clips: Tensor, radius: float) -> Box:
    """The range of every pixel of clips (n, l, 3, h, w) under changes of the flow of at most `radius` pixels, L-infinity.

    It is the engine's, which treats every channel alike: so the batch goes as one clip of many channels.
    """
    count = clips.shape[0]
    joined = clips.transpose(0, 1).flatten(1, 2)
    box = ball_around(joined, space_of(clips), Norm.LINF, radius, Rounding(rigorous=False)).interval()

    def apart(values: Tensor) -> Tensor:
        return values[0].unflatten(1, (count, 3)).transpose(0, 1)

    return Box(apart(box.lower), apart(box.upper))
