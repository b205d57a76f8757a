"""What a robust loss is, and the perturbations of batches that the losses share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from verification.engine.errors import TrainingError
from verification.engine.perturbation import Space, build_space


@dataclass(frozen=True)
class RobustLoss(ABC):
    """A part of the loss that stands for the worst change of the flow, in the space `dense`, of at most `radius` pixels.

    `share`: of it in the whole loss, the plain one has the rest. `ramp`: over which share of training the radius grows from
    zero, so that the network first learns what is easy.
    """

    radius: float
    share: float = 0.5
    ramp: float = 0.6

    name: ClassVar[str]

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise TrainingError(f"robust training needs a radius above zero pixels, not {self.radius:g}")
        for name, value in (("share", self.share), ("ramp", self.ramp)):
            if not 0 < value <= 1:
                raise TrainingError(f"the {name} of robust training must be above 0 and at most 1, not {value:g}")

    def radius_at(self, progress: float) -> float:
        """The radius, in pixels, after the share `progress` of training."""
        return self.radius * min(1.0, progress / self.ramp)

    def loss(self, network: nn.Module, clips: Tensor, labels: Tensor, plain: Tensor, progress: float) -> Tensor:
        """The whole loss. `clips`: (n, l, 3, h, w) in [0, 1]; `labels`: (n,); `plain`: the plain loss, a scalar."""
        worst = self.worst_loss(network, clips, labels, self.radius_at(progress))
        return (1 - self.share) * plain + self.share * worst

    @abstractmethod
    def worst_loss(self, network: nn.Module, clips: Tensor, labels: Tensor, radius: float) -> Tensor:
        """The cross entropy, a scalar, at what stands for the worst change of at most `radius` pixels."""


def space_of(clips: Tensor) -> Space:
    """The space of all flows of clips (n, l, 3, h, w)."""
    return build_space("dense", clips.shape[1], clips.shape[3], clips.shape[4])


def imposed(clips: Tensor, delta: Tensor) -> Tensor:
    """What the changes of flow `delta` (n, l-1, 2, h, w), pixels, make of clips (n, l, 3, h, w); differentiable in delta."""
    space = space_of(clips)
    motion = torch.stack([space.motion(one) for one in delta])
    return space.moved(clips.flatten(0, 1), motion.flatten(0, 1)).view_as(clips)


def closest_margins(logits: Tensor, labels: Tensor) -> Tensor:
    """(n,): the logit of the label minus the largest other one."""
    own = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    others = logits.scatter(1, labels.unsqueeze(1), float("-inf"))
    return own - others.amax(1)
