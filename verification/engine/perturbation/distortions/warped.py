"""A clip whose content moves along a course: where it is at one moment is a function of one parameter."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.errors import UnsupportedOperationError
from verification.engine.network.operations.base import Operation, Pulled, Site
from verification.engine.perturbation.distortions.courses import Course
from verification.engine.perturbation.distortions.lattice import Lattice
from verification.engine.perturbation.distortions.segment import NEAR, Segment
from verification.engine.perturbation.imposition import warp
from verification.engine.relaxation import Enclosure, Form, Interval, Rounding

#: Of a position, in pixels, what rounding takes, times its size.
_ROUNDING = 1e-14
#: Of all that is known of a pixel, over the brightest value, how much changes where a position is a pixel off.
_STEEPEST = 16
#: A parameter's interval as narrow as this, relative to its size, has no slopes.
_NARROW = 1e-9


@dataclass(frozen=True)
class Warped(Operation):
    """(N, 1) to (N, l, 3, h, w): `frames` (l, 3, h, w) displaced by `sum_k g_k(p) steps[k]`, where `course` has the functions g.

    `steps`: (K, n, 2, h, w), pixels, along x and along y, with n = l, or 1 if all frames move alike.
    """

    frames: Tensor
    steps: Tensor
    course: Course

    def concrete(self, *inputs: Tensor) -> Tensor:
        displacement = self._displacement(inputs[0])
        count, length = len(displacement), len(self.frames)
        displacement = displacement.expand(count, length, *displacement.shape[2:])
        frames = self.frames.expand(count, *self.frames.shape)
        return warp(frames.flatten(0, 1), displacement.flatten(0, 1)).unflatten(0, (count, length))

    def _displacement(self, p: Tensor) -> Tensor:
        """(N, n, 2, h, w) at parameters (N, 1)."""
        return (self.course.amounts(p) @ self.steps.flatten(1)).unflatten(1, self.steps.shape[1:])

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        """Whatever the parameter is, every value is a mean of values of its frame."""
        ends = (self.frames.amin((2, 3), keepdim=True), self.frames.amax((2, 3), keepdim=True))
        lower, upper = (end.expand(len(boxes[0].lower), *self.frames.shape) for end in ends)
        return Interval(lower, upper).widened(rounding.gamma(4) * self.lattice.brightest)

    def enclose(self, inputs: Sequence[Enclosure], site: Site) -> Enclosure:
        """With the slope of the values at both ends of the parameter's interval; derived in docs/distortions.md, "Warps"."""
        (p,), (box,), gamma = inputs, site.boxes, site.rounding.gamma(len(inputs[0].slopes) + 16)
        width = box.upper - box.lower
        segment = self._segment(box)
        first, last = (self._framed(end) for end in segment.ends)
        least, most = (self._framed(one + other) for one, other in zip(segment.deviations, segment.astray, strict=True))
        size = box.magnitude
        sloped = width > _NARROW * (1 + size)
        slope = torch.where(sloped, (last - first) / torch.where(sloped, width, 1.0), 0.0)
        rest = (last - first - slope * width).abs() / 2
        shift = p.centre - box.centre
        centre = (first + last + least + most) / 2 + slope * shift
        slopes = slope * p.slopes.view(-1, *[1] * slope.dim())
        error = (most - least) / 2 + rest
        error = error + slope.abs() * (p.error + gamma * (size + p.centre.abs() + p.slopes.abs().sum(0)))
        error = error * (1 + gamma) + gamma * self.lattice.brightest + self._lost(box) + site.rounding.underflow
        return Enclosure(centre.contiguous(), slopes.contiguous(), error.contiguous())

    @cached_property
    def lattice(self) -> Lattice:
        """Frames that move alike are channels of one picture."""
        return Lattice(self.frames.reshape(self.steps.shape[1], -1, *self.frames.shape[2:]))

    def _framed(self, values: Tensor) -> Tensor:
        """(1, l, 3, h, w), of values in the shape of the lattice's pictures."""
        return values.reshape(1, *self.frames.shape)

    def _segment(self, box: Interval) -> Segment:
        """From where each pixel is at one end of the parameter's interval to where it is at the other."""
        height, width = self.frames.shape[2:]
        columns, rows = (torch.arange(size, device=self.frames.device).to(self.frames) for size in (width, height))
        pixels = torch.stack([columns.expand(height, width), rows.unsqueeze(1).expand(height, width)])
        start, end = (pixels - self._displacement(at)[0] for at in (box.lower, box.upper))
        # The path lies on the inner side of its bends: off the way by -X'' (p - p_0) (p_1 - p) / 2, where X'' = -sum g'' S.
        least, most = self.course.bends(box.lower, box.upper)
        steps, share = self.steps.flatten(1), (box.upper - box.lower).square() / 8
        up, down = steps.clamp(min=0), steps.clamp(max=0)
        before, behind = ((least @ up + most @ down) * share, (most @ up + least @ down) * share)
        before, behind = (part.view(start.shape) for part in (before.clamp(max=0), behind.clamp(min=0)))
        return Segment(self.lattice, start, end - start, before, behind)

    def _lost(self, box: Interval) -> Tensor:
        """By how much a value may differ from what its rounded positions tell, where lines so near to them do not count."""
        ends = torch.cat([self.course.amounts(box.lower).abs(), self.course.amounts(box.upper).abs()])
        size = sum(self.frames.shape[2:]) + (ends.amax(0) + 1) @ self.steps.abs().flatten(1).amax(1)
        return _STEEPEST * self.lattice.brightest * (_ROUNDING * size + 2 * NEAR)

    def backward(self, form: Form, site: Site) -> Pulled:
        raise UnsupportedOperationError(
            "a clip that turns, grows or moves is bounded from its parameter on, not pulled back to it: its frames are the input "
            "of the network"
        )
