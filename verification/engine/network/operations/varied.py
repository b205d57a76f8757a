"""What an elementwise function makes of differences: each is multiplied by a slope that is known to lie in an interval."""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.operations.base import Elementwise
from verification.engine.relaxation import Interval, Planes, Rounding


@dataclass(frozen=True)
class Varied(Elementwise):
    """`sum_i s_i u_i` with any `s_i` in `slopes[i]`, a set of values for each input.

    For one u the largest value `max(low u, high u)` is convex and the least one concave: the chords of both are the planes.
    """

    slopes: tuple[Interval, ...]

    def concrete(self, *inputs: Tensor) -> Tensor:
        """The value for the slopes in the middle."""
        return torch.stack([slope.centre * u for slope, u in zip(self.slopes, inputs, strict=True)]).sum(0)

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        first, *rest = (s.times(box, rounding.gamma(1)) for s, box in zip(self.slopes, boxes, strict=True))
        for part in rest:
            first = first.plus(part, rounding.gamma(1))
        return first

    def planes(self, rounding: Rounding, *boxes: Interval) -> Planes:
        lower = [_chord(s.upper, s.lower, box) for s, box in zip(self.slopes, boxes, strict=True)]
        upper = [_chord(s.lower, s.upper, box) for s, box in zip(self.slopes, boxes, strict=True)]
        sizes = [s.magnitude * box.magnitude for s, box in zip(self.slopes, boxes, strict=True)]
        margin = rounding.gamma(16) * torch.stack(sizes).sum(0)
        below, above = (torch.stack([intercept for _, intercept in side]).sum(0) for side in (lower, upper))
        return Planes(
            tuple(slope for slope, _ in lower), below - margin, tuple(slope for slope, _ in upper), above + margin
        )


def _chord(left: Tensor, right: Tensor, box: Interval) -> tuple[Tensor, Tensor]:
    """Slope and intercept of the line through both ends of `left u` for u < 0, `right u` for u > 0 on the box."""
    kinked = (box.lower < 0) & (box.upper > 0)
    width = torch.where(kinked, box.upper - box.lower, 1.0)
    chord = (right * box.upper - left * box.lower) / width
    intercept = (left - right) * (box.upper / width) * box.lower
    straight = torch.where(box.lower >= 0, right, left)
    return torch.where(kinked, chord, straight), torch.where(kinked, intercept, 0.0)
