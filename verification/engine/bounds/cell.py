"""A cell: a box of coordinates `a` in a space of few dimensions, and all clips that its perturbations make.

Every pixel of the perturbed clip is `F(x - D(x))` with displacements `D` that are linear in `a`. The interpolant is bilinear
between lattice lines, so over the cell it is known by its values where lattice lines and sides cross (docs/bounds.md).
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.bounds.fields import NEAR, Fields
from verification.engine.bounds.surface import Surface
from verification.engine.perturbation.imposition import warp
from verification.engine.relaxation import Enclosure

#: Of a position, in pixels, what rounding takes, times its size and the number of its terms.
ROUNDING = 1e-15
#: Of all that is known of a pixel, over the brightest value, how much changes where a displacement is a pixel off.
STEEPEST = 16


@dataclass(frozen=True)
class Box:
    """All coordinates with `lower <= a <= upper`, (K,) float64, in the order of `a.flatten()`."""

    lower: Tensor
    upper: Tensor

    @cached_property
    def centre(self) -> Tensor:
        return self.lower / 2 + self.upper / 2

    @cached_property
    def half(self) -> Tensor:
        """(K,): from the centre to the farther side: `a = centre + half z` with z in [-1, 1]^K reaches all of the box."""
        farther = torch.maximum(self.upper - self.centre, self.centre - self.lower)
        return farther + ROUNDING * torch.maximum(self.lower.abs(), self.upper.abs())


@dataclass(frozen=True)
class Cell(Box):
    """All clips `impose(frames, B a)` with `lower <= a <= upper`.

    `nodes`: those of its kinds of displacements (`Fields.nodes`), (S, U) along x and along y.
    """

    fields: Fields
    nodes: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, fields: Fields, lower: Tensor, upper: Tensor) -> "list[Cell]":
        """A cell for each row of `lower` and `upper` (B, K); their enclosures have the same parameters."""
        nodes = fields.nodes(lower / 2 + upper / 2, upper / 2 - lower / 2)
        return [cls(low, high, fields, (x, y)) for low, high, x, y in zip(lower, upper, *nodes, strict=True)]

    def clip(self, frames: Tensor) -> Enclosure:
        """The clip (1, l, 3, h, w) as a function of `z` (the first K parameters) and of what its kinds of displacement share.

        Pixels of one kind are combinations of the same functions of their displacement, which become parameters of their own:
        `s t` and a hat for each of the `nodes` but the corners. So what they have in common can cancel out later.
        """
        fields, still = self.fields, self.fields.still
        rest, moving, index = frames[:still].double(), frames[still:].double(), fields.index[still:]
        place = torch.einsum("k,k...->...", self.centre, fields.values[:, still:])
        x, y = (steps[:, index] for steps in self.nodes)  # (S, l, h, w)
        seen = torch.stack([torch.stack([warp(moving, place + torch.stack([s, t], 1)) for t in y]) for s in x])
        told = fields.members[:, still:].sum(0).unsqueeze(1) > 0
        surface = Surface.through(seen, x.unsqueeze(2), y.unsqueeze(2), told)
        changes = self.half.view(-1, 1, 1, 1, 1) * fields.values[:, still:]  # (K, l, 2, h, w)
        linear = surface.slopes[0] * changes[:, :, 0, None] + surface.slopes[1] * changes[:, :, 1, None]
        shared = (surface.shared.unsqueeze(1) * fields.members[:, still:, None]).flatten(0, 1)
        parts = torch.cat([linear, shared])
        error = surface.error + self.lost(moving.abs().amax())[index].unsqueeze(1)
        return Enclosure(
            torch.cat([rest, surface.middle]).unsqueeze(0),
            torch.cat([rest.new_zeros((len(parts), *rest.shape)), parts], 1).unsqueeze(1),
            torch.cat([torch.zeros_like(rest), error]).unsqueeze(0),
        )

    def lost(self, brightest: Tensor) -> Tensor:
        """(U,): by how much pixels of each kind may differ from what their nodes tell, where none is above `brightest`.

        Positions are rounded, and so are the nodes. Where a line counts as a side, a piece of that length is missing.
        """
        reach = torch.einsum("k,kcu->u", self.half + self.centre.abs(), self.fields.kinds.abs())
        size = 2 * max(self.fields.values.shape[3:]) + reach
        return STEEPEST * brightest * (ROUNDING * (len(self.half) + 8) * size + 2 * NEAR)
