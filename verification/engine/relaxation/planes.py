"""Linear bounds of one elementwise function of one or more nodes (engine contract, section 6)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.relaxation.interval import Interval


@dataclass(frozen=True)
class Planes:
    """`sum_i lower_slopes[i] x_i + lower_intercept <= f(x_1, ...) <= sum_i upper_slopes[i] x_i + upper_intercept`.

    All tensors have the shape of f; they hold wherever every x_i lies in the interval they were made for.
    """

    lower_slopes: tuple[Tensor, ...]
    lower_intercept: Tensor
    upper_slopes: tuple[Tensor, ...]
    upper_intercept: Tensor

    def magnitude(self, inputs: tuple[Interval, ...]) -> Tensor:
        """A bound on `sum |slope x| + |intercept|`, to which the rounding error of using the planes is relative."""
        total = torch.maximum(self.lower_intercept.abs(), self.upper_intercept.abs())
        for low, up, box in zip(self.lower_slopes, self.upper_slopes, inputs, strict=True):
            total = total + torch.maximum(low.abs(), up.abs()) * box.magnitude
        return total
