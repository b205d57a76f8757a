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

    @property
    def centre(self) -> Tensor:
        """The middle, rounded."""
        return self.lower / 2 + self.upper / 2

    @property
    def radius(self) -> Tensor:
        """From `centre` to the farther end; both may be rounded by a unit in the last place of `magnitude`."""
        centre = self.centre
        return torch.maximum(self.upper - centre, centre - self.lower)

    def intersect(self, other: "Interval") -> "Interval":
        """What both allow. Where rounding in the search makes them miss each other, the first one is kept."""
        lower, upper = torch.maximum(self.lower, other.lower), torch.minimum(self.upper, other.upper)
        empty = lower > upper
        return Interval(torch.where(empty, self.lower, lower), torch.where(empty, self.upper, upper))

    def times(self, other: "Interval", relative: float) -> "Interval":
        """All products of two members, widened by `relative` times the largest one."""
        corners = [a * b for a in (self.lower, self.upper) for b in (other.lower, other.upper)]
        lower = torch.minimum(torch.minimum(corners[0], corners[1]), torch.minimum(corners[2], corners[3]))
        upper = torch.maximum(torch.maximum(corners[0], corners[1]), torch.maximum(corners[2], corners[3]))
        return Interval(lower, upper).widened(relative * torch.maximum(lower.abs(), upper.abs()))

    def plus(self, other: "Interval", relative: float) -> "Interval":
        """All sums of two members, widened by `relative` times the sum of their sizes."""
        result = Interval(self.lower + other.lower, self.upper + other.upper)
        return result.widened(relative * (self.magnitude + other.magnitude))

    def widened(self, margin: Tensor | float) -> "Interval":
        return Interval(self.lower - margin, self.upper + margin)
