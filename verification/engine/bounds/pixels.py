"""Lp balls of pixels (the paper's Def. 3): the clip itself is perturbed, `v' = clip(v + a, 0, 1)`."""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.bounds.region import Region
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Form, Interval, Rounding


@dataclass(frozen=True)
class PixelBall(Region):
    """All clips with values in [0, 1] within `radius` of `clip` (1, l, c, h, w), values in [0, 1], in the given norm.

    Clipping brings every value of `v + a` nearer to v or leaves it: so the clips `clip(v + a, 0, 1)` with `||a|| <= radius`
    are just those of the ball that lie in the box [0, 1].
    """

    clip: Tensor
    radius: float
    norm: Norm
    rounding: Rounding

    def interval(self) -> Interval:
        clip = self.clip.to(self.rounding.dtype)
        margin = self.rounding.gamma(1) * (clip.abs() + self.radius)
        lower, upper = clip - self.radius - margin, clip + self.radius + margin
        return Interval(lower.clamp(0, 1), upper.clamp(0, 1))

    def minimum(self, form: Form) -> Tensor:
        """Over the box of `interval`, which for L-infinity is the region itself, and by Hoelder over the ball: the better."""
        box = self._over_box(form)
        return box if self.norm is Norm.LINF else torch.maximum(box, self._over_ball(form))

    def _over_box(self, form: Form) -> Tensor:
        """`A . v' >= A+ . lower + A- . upper`; values lie in [0, 1], hence the rounding weighs at most `||A||_1`."""
        box = self.interval()
        lower, upper = form.values(torch.stack([box.lower, box.upper])).unbind(1)
        positive, negative = form.coefficients.clamp(min=0), form.coefficients.clamp(max=0)
        value = form.like(positive).contract(lower) + form.like(negative).contract(upper)
        size = (positive - negative).flatten(2)
        return value - self.rounding.gamma(2 * size.shape[2]) * size.sum(2)

    def _over_ball(self, form: Form) -> Tensor:
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
