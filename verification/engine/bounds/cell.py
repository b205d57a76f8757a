"""A cell: a box of coordinates `a` in a space of few dimensions, and all clips that its perturbations make.

Every pixel of the perturbed clip is `F(x - D(x))` with displacements `D` that are linear in `a`. Around the cell's centre
that is a linear function of `a` and a rest. The interpolant is bilinear between lattice lines, so on the rectangle of
displacements of a pixel the rest is extreme where lattice lines and sides cross: there it is evaluated (docs/bounds.md).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.bounds.region import Region
from verification.engine.perturbation import FlowSpace
from verification.engine.perturbation.imposition import warp
from verification.engine.relaxation import Enclosure, Form, Interval, Rounding

_ROUNDING = 1e-15  # of a position, in pixels, times its size: values change by at most 2 a pixel


@dataclass(frozen=True)
class Cell(Region):
    """All clips `impose(frames, B a)` with `lower <= a <= upper`; `lower`, `upper`: (K,) float64, in the order of `a.flatten()`.

    `fields`: (K, l, 2, h, w) float64, pixels: the displacements that belong to each coordinate (`fields_of`).
    """

    frames: Tensor
    fields: Tensor
    lower: Tensor
    upper: Tensor
    rounding: Rounding
    radius: float = math.inf

    @cached_property
    def centre(self) -> Tensor:
        return self.lower / 2 + self.upper / 2

    @cached_property
    def half(self) -> Tensor:
        """(K,): from the centre to the farther side: `a = centre + half z` with z in [-1, 1]^K reaches all of the box."""
        farther = torch.maximum(self.upper - self.centre, self.centre - self.lower)
        return farther + _ROUNDING * torch.maximum(self.lower.abs(), self.upper.abs())

    @cached_property
    def extent(self) -> Tensor:
        """(l, 2, h, w): how far each component of a pixel's displacement may be from that at the centre."""
        return torch.einsum("k,k...->...", self.half, self.fields.abs())

    @cached_property
    def enclosure(self) -> Enclosure:
        """The clip (1, l, 3, h, w) as a function of `z`."""
        slopes, middle, error = self._secants()
        changes = self.half.view(-1, 1, 1, 1, 1) * self.fields  # (K, l, 2, h, w)
        parts = slopes[0] * changes[:, :, 0, None] + slopes[1] * changes[:, :, 1, None]
        return Enclosure(middle.unsqueeze(0), parts.unsqueeze(1), error.unsqueeze(0))

    def _secants(self) -> tuple[Tensor, Tensor, Tensor]:
        """Slopes (2, l, 3, h, w) along x and y, middles and errors (l, 3, h, w) of linear functions of the displacements."""
        frames = self.frames.double()
        place = torch.einsum("k,k...->...", self.centre, self.fields)
        farthest = math.ceil(float(self.extent.amax()))
        steps = [self._crossings(place, axis, farthest) for axis in range(2)]
        values = torch.stack(
            [torch.stack([warp(frames, place + torch.stack([s, t], 1)) for t in steps[1]]) for s in steps[0]]
        )  # (s, t, l, 3, h, w)
        width = 2 * self.extent.clamp(min=1e-12)
        slopes = torch.stack(
            [
                (values[-1] - values[0]).mean(0) / width[:, 0, None],
                (values[:, -1] - values[:, 0]).mean(0) / width[:, 1, None],
            ]
        )
        still = (self.extent == 0).unsqueeze(2)  # (l, 2, 1, h, w)
        slopes = torch.where(still.transpose(0, 1), 0.0, slopes)
        line = slopes[0] * torch.stack(steps[0])[:, None, :, None] + slopes[1] * torch.stack(steps[1])[None, :, :, None]
        rest = (values - line).flatten(0, 1)
        least, most = rest.amin(0), rest.amax(0)
        # Positions are rounded, and the crossings with them; so are the rest's sums, by far less than that.
        size = (
            max(self.frames.shape[2:]) + torch.einsum("k,k...->...", self.centre.abs(), self.fields.abs()) + self.extent
        )
        margin = _ROUNDING * (len(self.half) + 8) * size.sum(1, keepdim=True) * (1 + slopes.abs().sum(0))
        return slopes, (least + most) / 2, (most - least) / 2 + margin

    def _crossings(self, place: Tensor, axis: int, farthest: int) -> list[Tensor]:
        """Displacements (l, h, w) from the centre's along one axis, rising: the sides, the lattice lines between."""
        half = self.extent[:, axis]
        to_line = -(place[:, axis] - place[:, axis].floor())
        crossings = [-half]
        for n in range(-farthest, farthest + 2):
            crossing = (to_line + n).clamp(-half, half)
            if not torch.equal(crossing, crossings[-1]):
                crossings.append(crossing)
        return crossings

    def enclosed(self) -> Enclosure:
        return self.enclosure

    def below(self, form: Form) -> tuple[Tensor, Tensor]:
        return self.enclosure.below(form.full(0), self.rounding)

    def interval(self) -> Interval:
        box = self.enclosure.interval(self.rounding)
        return box.intersect(
            Interval(self.frames.double().amin().expand_as(box.lower), self.frames.double().amax().expand_as(box.upper))
        )

    def minimum(self, form: Form) -> Tensor:
        return self.enclosure.minimum(form.full(0), self.rounding)


def fields_of(space: FlowSpace, device: torch.device) -> Tensor:
    """(K, l, 2, h, w) float64, pixels: the displacements of every frame and pixel for each coordinate of `space` alone."""
    unit = torch.eye(space.dimensions, dtype=torch.float64, device=device)
    return torch.stack([space.motion(space.lift(row.view(space.shape))) for row in unit])
