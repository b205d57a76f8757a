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

    def minimum(self, form: Form, rounding: Rounding) -> Tensor:
        """(P, K): a lower bound of every functional of `form`."""
        constants, slopes = self.below(form, rounding)
        falls = slopes.abs().sum(2) * (1 + rounding.gamma(slopes.shape[2]))
        return constants - falls - rounding.gamma(1) * (constants.abs() + falls)
