"""All clips that the perturbations of a leaf make, as an affine form over their pixels.

A pixel is `F(x - D)` with a displacement D that is linear in the coordinates `a`, and F is bilinear between whole-pixel
displacements. So within the rectangle of displacements that a leaf allows it is known by its values at the corners and where
lines of whole pixels cross (docs/bounds.md, "Certificates").
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.certificate.bilinear import Patch, Rectangle
from verification.engine.certificate.cover import centred
from verification.engine.certificate.forms import AffineForm, gamma
from verification.engine.perturbation import FlowSpace

_MOST_KINDS = 16  # of displacements that are told apart


@dataclass(frozen=True)
class Imposed:
    """`frames` (l, 3, h, w) float64 in [0, 1], and the space whose perturbations are imposed on them."""

    frames: Tensor
    space: FlowSpace

    @property
    def whole(self) -> bool:
        """Whether whole numbers of a coordinate are better places to cut leaves than others."""
        return bool(len(self.kinds))

    @property
    def symbols(self) -> int:
        """Of a form: one for each coordinate, and for what kinds share."""
        return self.space.dimensions + 6 * len(self.kinds)

    @cached_property
    def reach(self) -> Tensor:
        """(K,): the farthest that a unit of each coordinate moves any pixel, along x or along y."""
        return self.fields.abs().flatten(1).amax(1)

    def fits(self, lower: Tensor, upper: Tensor) -> Tensor:
        """(B,): of which leaves no pixel crosses two lines of one direction."""
        return self.rectangles(lower, upper).lines().flatten(1).amax(1) <= 1

    @cached_property
    def fields(self) -> Tensor:
        """(K, l, 1, h, w, 2): the displacements of all pixels for a unit of each coordinate, pixels."""
        unit = torch.eye(self.space.dimensions, dtype=torch.float64, device=self.frames.device)
        fields = torch.stack([self.space.motion(self.space.lift(row.view(self.space.shape))) for row in unit])
        return fields.movedim(2, -1).unsqueeze(2)

    @cached_property
    def _kinds(self) -> tuple[Tensor, Tensor]:
        pixels = self.fields.flatten(1, 4).movedim(-1, 1).flatten(0, 1)  # (2 K, pixels)
        different, index = pixels.unique(dim=1, return_inverse=True)
        moving = (different != 0).any(0).nonzero()[:, 0]
        moving = moving if len(moving) <= _MOST_KINDS else moving[:0]
        masks = (index == moving[:, None]).double().view(-1, *self.fields.shape[1:5])
        return masks, different[:, moving].view(len(self.fields), 2, -1).movedim(1, 2)

    @property
    def kinds(self) -> Tensor:
        """(N, l, 1, h, w): 1 where a pixel moves like all others of its kind; none where there are too many kinds."""
        return self._kinds[0]

    @property
    def kinds_fields(self) -> Tensor:
        """(K, N, 2): what each coordinate does to the pixels of each kind."""
        return self._kinds[1]

    def rectangles(self, lower: Tensor, upper: Tensor) -> Rectangle:
        """The displacements of all pixels, (B, l, 1, h, w, 2), or of all kinds, (B, N, 2), where these are told apart.

        Boxes `lower`, `upper` (B, K).
        """
        fields = self.kinds_fields if len(self.kinds) else self.fields
        centre, half = centred(lower, upper)
        return Rectangle(
            torch.einsum("bk,k...->b...", centre, fields), torch.einsum("bk,k...->b...", half, fields.abs())
        )

    def form(self, lower: Tensor, upper: Tensor) -> AffineForm:
        """Pixels (B, 1, l, 3, h, w) where `lower <= a <= upper` (B, K), if no pixel crosses two lines of one direction.

        Symbols: one for each coordinate, `a = centre + half z`. Where kinds are told apart, each of them also has one for the
        product of its displacements and one for each node inside; elsewhere that is error.
        """
        _, half = centred(lower, upper)
        kinds = self.kinds
        rectangle = self._of_pixels(self.rectangles(lower, upper))
        nodes = rectangle.nodes()
        patch = Patch.through([[self._at(rectangle.place, x, y) for y in nodes] for x in nodes], nodes, rectangle)
        shares = half.view(*half.shape, *[1] * 5) * self.fields / rectangle.reach.clamp(min=1e-300).unsqueeze(1)
        slopes = patch.across.unsqueeze(1) * shares[..., 0] + patch.down.unsqueeze(1) * shares[..., 1]
        lost = rectangle.lost(max(self.frames.shape[2:])) * self.fields.any(-1).any(0)
        if len(kinds):
            middle = patch.middle + sum(rest / 2 for rest in patch.inner)
            shared = [part.unsqueeze(1) * kinds for part in (patch.twist, *(rest / 2 for rest in patch.inner))]
            slopes, error = torch.cat([slopes, *shared], 1), lost.expand_as(middle)
        else:
            rest = torch.stack([torch.zeros_like(patch.middle), *patch.inner])
            least, most = rest.amin(0), rest.amax(0)
            middle, error = patch.middle + (least + most) / 2, (most - least) / 2 + patch.twist.abs() + lost
        error = error + gamma(4 * slopes.shape[1]) * 16
        return AffineForm(middle.unsqueeze(1), slopes.unsqueeze(2), error.unsqueeze(1), not len(kinds))

    def _of_pixels(self, rectangle: Rectangle) -> Rectangle:
        """(B, l, 1, h, w, 2) whether kinds are told apart or not."""
        if not len(self.kinds):
            return rectangle
        parts = (torch.einsum("bnc,n...->b...c", part, self.kinds) for part in (rectangle.place, rectangle.reach))
        return Rectangle(*parts)

    def _at(self, place: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """(B, l, 3, h, w): the frames displaced by `place`, by the first component of `x` and by the second one of `y`."""
        motion = (place + torch.stack([x[..., 0], y[..., 1]], -1)).squeeze(2).movedim(-1, 2)
        return self.moved(motion)

    def moved(self, motion: Tensor) -> Tensor:
        """(B, l, 3, h, w): the frames under motions (B, l, 2, h, w)."""
        frames = self.frames.expand(len(motion), *self.frames.shape)
        return self.space.moved(frames.flatten(0, 1), motion.flatten(0, 1)).view(frames.shape)
