"""`pixels`: the clip itself is changed, `v' = clip(v + a, 0, 1)` (the paper's Def. 3). No flow is imposed."""

from typing import Self

import torch
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.spaces.base import Setting, Space
from verification.engine.perturbation.units import Unit


class Pixels(Space):
    """a: (l, 3, h, w), pixel values; delta = a. A distance is the norm of `v' - v`, the change that clipping leaves."""

    name = "pixels"
    example = "pixels"
    unit = Unit.VALUE
    subject = "the pixels"
    strides = (1.0, 0.25, 0.5)

    @classmethod
    def build(cls, setting: Setting, argument: str) -> Self:
        if setting.flows is not None:
            raise SpecificationError(
                "the space 'pixels' changes the frames themselves and no flow: leave the choice of flows at all"
            )
        return cls(setting.length, setting.height, setting.width)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length, 3, self.height, self.width)

    @property
    def delta_shape(self) -> tuple[int, ...]:
        return self.shape

    def lift(self, a: Tensor) -> Tensor:
        return a

    def norm(self, a: Tensor, norm: Norm) -> Tensor:
        return norm.of(a)

    def scales(self, norm: Norm) -> Tensor | None:
        return torch.ones(())

    def steepness(self, gradient: Tensor, norm: Norm) -> float:
        return float(norm.dual.of(gradient))

    def motion(self, delta: Tensor) -> Tensor:
        return delta

    def moved(self, frames: Tensor, motion: Tensor) -> Tensor:
        return (frames + motion).clamp(0, 1)

    def shortest(self, frames: Tensor, a: Tensor) -> Tensor:
        return self.moved(frames.to(a.dtype), a) - frames.to(a.dtype)

    def room(self, frames: Tensor, towards: Tensor) -> Tensor | None:
        return torch.where(towards > 0, 1 - frames, frames).to(towards.dtype)

    def farthest(self, frames: Tensor, norm: Norm) -> float:
        values = frames.double()
        # A hair more than the sum in floating point: beyond it there must be no clip at all.
        return float(norm.of(torch.maximum(values, 1 - values))) * (1 + 1e-9)
