"""Boxes: a lower and an upper value for every element of a tensor."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Interval:
    """`lower <= x <= upper` element by element; both of the shape of x."""

    lower: Tensor
    upper: Tensor

    @property
    def magnitude(self) -> Tensor:
        """The largest `|x|` that is possible."""
        return torch.maximum(self.lower.abs(), self.upper.abs())

    def intersect(self, other: "Interval") -> "Interval":
        """What both allow. Where rounding in the search makes them miss each other, the first one is kept."""
        lower, upper = torch.maximum(self.lower, other.lower), torch.minimum(self.upper, other.upper)
        empty = lower > upper
        return Interval(torch.where(empty, self.lower, lower), torch.where(empty, self.upper, upper))

    def widened(self, margin: Tensor | float) -> "Interval":
        return Interval(self.lower - margin, self.upper + margin)
