"""All clips that the perturbations of a leaf make, as an affine form over their pixels.

A pixel is `F(x - D)` with a displacement D that is linear in the coordinates `a`, and F is bilinear between whole-pixel
displacements. So within the rectangle of displacements that a leaf allows it is known by its values at the corners and where
lines of whole pixels cross (docs/bounds.md, "Certificates").
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.certificate.forms import AffineForm, gamma
from verification.engine.perturbation import FlowSpace

_NEAR = 1e-11  # pixels: a line so near to a side of the rectangle counts as that side
_ROUNDING = 1e-14  # of a position, relative to its size
_MOST_KINDS = 16  # of displacements that are told apart


@dataclass(frozen=True)
class Imposed:
    """`frames` (l, 3, h, w) float64 in [0, 1], and the space whose perturbations are imposed on them."""

    frames: Tensor
    space: FlowSpace

    @cached_property
    def fields(self) -> Tensor:
        """(K, l, 2, h, w): the displacements of all pixels for a unit of each coordinate, pixels."""
        unit = torch.eye(self.space.dimensions, dtype=torch.float64, device=self.frames.device)
        return torch.stack([self.space.motion(self.space.lift(row.view(self.space.shape))) for row in unit])

    @cached_property
    def kinds(self) -> Tensor:
        """(N, l, 1, h, w): 1 where a pixel moves like all others of its kind; none where there are too many kinds."""
        length, height, width = self.frames.shape[0], *self.frames.shape[2:]
        pixels = self.fields.permute(0, 2, 1, 3, 4).reshape(2 * len(self.fields), -1)
        different, index = pixels.unique(dim=1, return_inverse=True)
        moving = (different != 0).any(0).nonzero()[:, 0]
        moving = moving if len(moving) <= _MOST_KINDS else moving[:0]
        return (index == moving[:, None]).double().view(-1, length, 1, height, width)

    def whole_pixels(self, lower: Tensor, upper: Tensor) -> Tensor:
        """(B,): the most lines of whole pixels of one direction that any pixel's displacements cross; (B, K) each."""
        place, reach = self._displacements(*centred(lower, upper))
        count = (place + reach - _NEAR).ceil() - (place - reach + _NEAR).floor() - 1
        return count.flatten(1).amax(1)

    def form(self, lower: Tensor, upper: Tensor) -> AffineForm:
        """Pixels (B, 1, l, 3, h, w) where `lower <= a <= upper` (B, K) and no pixel crosses two lines of one direction.

        Symbols: one for each coordinate, `a = centre + half z`, and one for the product of both displacements of each kind.
        """
        centre, half = centred(lower, upper)
        place, reach = self._displacements(centre, half)
        first = (place - reach + _NEAR).floor() + 1 - place
        crosses = first < reach - _NEAR
        nodes = [-reach, torch.where(crosses, first, reach), reach] if bool(crosses.any()) else [-reach, reach]
        seen = torch.stack([torch.stack([self._at(place, x, y) for y in nodes]) for x in nodes])
        (a, b), (c, d) = (seen[0, 0], seen[0, -1]), (seen[-1, 0], seen[-1, -1])
        # The bilinear function through the corners, in units of the reach, and what is left of the pixel at the other nodes.
        middle, across, down, twist = (a + b + c + d) / 4, (c + d - a - b) / 4, (b + d - a - c) / 4, (a - b - c + d) / 4
        units = [node / reach.clamp(min=1e-300) for node in nodes]
        left = {
            (i, j): seen[i, j] - middle - x[:, :, :1] * across - y[:, :, 1:] * down - x[:, :, :1] * y[:, :, 1:] * twist
            for i, x in enumerate(units)
            for j, y in enumerate(units)
        }
        told = self.kinds.sum(0)
        # Between the nodes what is left is their mean with weights that are the same for all pixels of a kind.
        inner = [
            torch.where(crosses[:, :, :1] | (i != 1), rest, 0.0) * (crosses[:, :, 1:] | (j != 1)) / 2
            for (i, j), rest in left.items()
            if 1 in (i, j) and len(nodes) > 2
        ]
        least, most = ((1 - told) * torch.stack(list(left.values())).aminmax(dim=0)[end] for end in (0, 1))
        shares = half[:, :, None, None, None, None] * self.fields / reach.clamp(min=1e-300).unsqueeze(1)
        slopes = across.unsqueeze(1) * shares[:, :, :, :1] + down.unsqueeze(1) * shares[:, :, :, 1:]
        shared = [part.unsqueeze(1) * self.kinds for part in (twist, *inner)]
        slopes = torch.cat([slopes, *shared], 1)
        centre_of = middle + (least + most) / 2 + sum(told * rest for rest in inner)
        error = (most - least) / 2 + (1 - told) * twist.abs() + self._lost(centre, half) + gamma(4 * slopes.shape[1])
        return AffineForm(centre_of.unsqueeze(1), slopes.unsqueeze(2), error.unsqueeze(1), True)

    def _displacements(self, centre: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
        """(B, l, 2, h, w) each: the displacement at the centre, and how far others are from it."""
        return torch.einsum("bk,k...->b...", centre, self.fields), torch.einsum(
            "bk,k...->b...", half, self.fields.abs()
        )

    def _at(self, place: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """(B, l, 3, h, w): the frames displaced by `place`, by the first component of `x` and by the second one of `y`."""
        motion = place + torch.stack([x[:, :, 0], y[:, :, 1]], 2)
        frames = self.frames.expand(len(place), *self.frames.shape)
        return self.space.moved(frames.flatten(0, 1), motion.flatten(0, 1)).view(frames.shape)

    def _lost(self, centre: Tensor, half: Tensor) -> Tensor:
        """(B, l, 1, h, w): what positions that are rounded, and lines that count as sides, make of a pixel between 0 and 1.

        A pixel changes by no more than a displacement's components do. What does not move is exact.
        """
        farthest = torch.einsum("bk,k...->b...", centre.abs() + half, self.fields.abs()).amax(2, keepdim=True)
        size = farthest + max(self.frames.shape[2:])
        return 16 * (_NEAR + _ROUNDING * size) * (farthest > 0)


def centred(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K) each: `a = centre + half z` with z in [-1, 1]^K reaches all of the box, whatever rounding does."""
    centre = lower / 2 + upper / 2
    return centre, torch.maximum(upper - centre, centre - lower) + 1e-15 * torch.maximum(lower.abs(), upper.abs())
