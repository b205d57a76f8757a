"""Values as linear functions of a few parameters, up to an error: linear bounds carried forward.

Where a region has few dimensions this costs one pass through the network for each of them, and tells of every neuron what
it costs one backward pass each to learn otherwise.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.relaxation.form import Form
from verification.engine.relaxation.interval import Interval
from verification.engine.relaxation.rounding import Rounding


@dataclass(frozen=True)
class Enclosure:
    """`x = centre + sum_k z_k slopes[k] + e` with some `z` in [-1, 1]^K, the same for all elements, and `|e| <= error`.

    `centre`, `error`: of the shape of x; `slopes`: (K, *shape).
    """

    centre: Tensor
    slopes: Tensor
    error: Tensor

    @classmethod
    def of(cls, box: Interval, dimensions: int) -> "Enclosure":
        """What is only known to lie in a box."""
        centre = box.centre
        return cls(centre, centre.new_zeros((dimensions, *centre.shape)), box.radius + 1e-15 * box.magnitude)

    @classmethod
    def between(cls, lower: tuple[Tensor, Tensor], upper: tuple[Tensor, Tensor], rounding: Rounding) -> "Enclosure":
        """What lies above one linear function of z, `constant + sum_k z_k slopes[k]`, and below another."""
        (low, rising), (high, falling) = lower, upper
        size = low.abs() + high.abs() + (rising.abs() + falling.abs()).sum(0)
        error = (high - low) / 2 + ((falling - rising) / 2).abs().sum(0)
        error = error + rounding.gamma(len(rising) + 4) * size
        return cls((low + high) / 2, (rising + falling) / 2, error)

    def or_less(self, other: "Enclosure") -> "Enclosure":
        """Of two enclosures of the same value the one with the smaller error, element by element."""
        less = other.error < self.error
        pairs = ((self.centre, other.centre), (self.slopes, other.slopes), (self.error, other.error))
        return Enclosure(*(torch.where(less, theirs, own) for own, theirs in pairs))

    def radius(self, rounding: Rounding) -> Tensor:
        """How far x may be from `centre`."""
        return (self.slopes.abs().sum(0) + self.error) * (1 + rounding.gamma(len(self.slopes) + 1))

    def interval(self, rounding: Rounding) -> Interval:
        """The range of every element."""
        radius = self.radius(rounding)
        return Interval(self.centre - radius, self.centre + radius).widened(rounding.gamma(1) * self.centre.abs())

    def below(self, form: Form, rounding: Rounding) -> tuple[Tensor, Tensor]:
        """Constants (P, K) and slopes (P, K, dimensions) with `form . x >= constants + slopes . z` for all z in [-1, 1]^K."""
        seen = form.values(torch.cat([torch.stack([self.centre, self.error]), self.slopes]))
        terms = form.coefficients.flatten(2) @ seen[:, [0, *range(2, seen.shape[1])]].flatten(2).mT
        size = form.like(form.coefficients.abs())
        error = size.contract(seen[:, 1])
        if rounding.rigorous:
            largest = seen[:, 0].abs() + seen[:, 1] + seen[:, 2:].abs().sum(1)
            error = error + rounding.gamma(form.coefficients[0, 0].numel() + seen.shape[1]) * size.contract(largest)
        return terms[..., 0] - error - rounding.underflow, terms[..., 1:]
