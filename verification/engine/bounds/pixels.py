"""Lp balls of pixels (the paper's Def. 3): the clip itself is perturbed, `v' = v + a`."""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.bounds.region import Region
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Form, Interval, Rounding


@dataclass(frozen=True)
class PixelBall(Region):
    """All clips within `radius` of `clip` (1, l, c, h, w) in the given norm; values are not clipped to [0, 1]."""

    clip: Tensor
    radius: float
    norm: Norm
    rounding: Rounding

    def interval(self) -> Interval:
        clip = self.clip.to(self.rounding.dtype)
        margin = self.rounding.gamma(1) * (clip.abs() + self.radius)
        return Interval(clip - self.radius - margin, clip + self.radius + margin)

    def minimum(self, form: Form) -> Tensor:
        """Hoelder: `A . (v + a) >= A . v - r ||A||_q`."""
        values = form.values(self.clip.to(self.rounding.dtype).unsqueeze(0))[:, 0]
        flat = form.coefficients.flatten(2)
        dual = torch.linalg.vector_norm(flat, ord=self.norm.dual.p, dim=2) + self.rounding.squares
        reach = self.radius * dual
        size = form.like(form.coefficients.abs()).contract(values.abs()) + reach
        return form.contract(values) - reach - self.rounding.gamma(flat.shape[2]) * size

    def steepness(self, gradient: Interval) -> Tensor:
        """Hoelder again."""
        size = gradient.magnitude.flatten(1)
        dual = torch.linalg.vector_norm(size, ord=self.norm.dual.p, dim=1)
        return dual * (1 + self.rounding.gamma(size.shape[1])) + self.rounding.squares
