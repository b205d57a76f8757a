"""How much perturbations of a bounded norm can do: the dual norm of a space of flows, as the checker computes it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.certificate.forms import gamma
from verification.engine.errors import UnsupportedOperationError
from verification.engine.perturbation import FlowSpace, Norm
from verification.engine.perturbation.spaces.dense import Dense

#: Squares of numbers below 1e-150 may be lost to a Euclidean norm; all of them together are less than this.
LOST = 1e-138
_MULTIPLIERS = 8  # that are tried
_MOST_ELEMENTS = 1 << 28  # of the fields of all coordinates, in spaces other than those of single pixels

Falls = Sequence[tuple[Tensor, Tensor]]
Crop = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Dual:
    """Of a norm of `delta = B a`, which is a norm of the scaled coordinates `s a`."""

    space: FlowSpace
    norm: Norm

    @property
    def _pixelwise(self) -> bool:
        return isinstance(self.space, Dense)

    @property
    def shared(self) -> bool:
        """Whether pixels share the radius, so that most of them have little of it: `sum of squares of what they take`."""
        return self._pixelwise and self.norm is Norm.L2

    def most(self, falls: Falls, budgets: Sequence[float], at: Crop) -> Tensor:
        """(N,): the most of `sum signed . delta + spread . |delta|` over the ball, rounded up.

        `falls`: signed and spread (N, flows, 2, h, w), for pixels that take at most each of the `budgets`, the last of which is
        the radius. Flows after those have zeros. `at`: the part of the frames (l, 3, h, w) that is left.
        """
        signed, spread = falls[-1]
        if not signed.shape[1]:
            return signed.new_zeros(len(signed))
        if self.shared:
            most = _shared(self._of_pixels(falls, at).square().sum((2, 3)).sqrt().flatten(2), budgets)
        elif self._pixelwise:
            most = self._of_pixels(falls[-1:], at)[0].flatten(1).norm(self.norm.dual.p, dim=1) * budgets[-1]
        else:
            most = self._of_coordinates(signed, spread, at) * budgets[-1]
        return most * (1 + gamma(2 * signed[0].numel())) + LOST * budgets[-1]

    def _of_pixels(self, falls: Falls, at: Crop) -> Tensor:
        """(budgets, N, flows, 2, h, w): by how much each component of a pixel's change counts; zero where it may not change."""
        moving = self.space.moving[: falls[-1][0].shape[1]].to(falls[-1][0])
        alike = moving.shape[1:] == (1, 1)
        mask = (moving if alike else moving[:, at[1], at[2]]).unsqueeze(1)
        return torch.stack([(signed.abs() + spread) * mask for signed, spread in falls])

    def _of_coordinates(self, signed: Tensor, spread: Tensor, at: Crop) -> Tensor:
        """(N,): the dual norm, `|B^T signed| + |B|^T spread` over the scales."""
        scales = self.space.scales(self.norm)
        if scales is None:
            raise UnsupportedOperationError(
                f"cannot check: the space {self.space.name!r} in the norm {self.norm.value} has no dual norm in closed form"
            )
        fields = self._fields[:, : signed.shape[1], :, at[1], at[2]].flatten(1).T
        size = (signed.flatten(1) @ fields).abs() + spread.flatten(1) @ fields.abs()
        scaled = size / scales.to(size).expand(self.space.shape).flatten()
        return torch.linalg.vector_norm(scaled, ord=self.norm.dual.p, dim=1)

    @cached_property
    def _fields(self) -> Tensor:
        """(K, l - 1, 2, h, w): B."""
        most = _MOST_ELEMENTS // math.prod(self.space.delta_shape)
        if self.space.dimensions > most:
            raise UnsupportedOperationError(
                f"cannot check: a space {self.space.name!r} of {self.space.dimensions} dimensions over this clip; at most {most}"
            )
        unit = torch.eye(self.space.dimensions, dtype=torch.float64)
        return torch.stack([self.space.lift(row.view(self.space.shape)) for row in unit])


def _shared(slopes: Tensor, budgets: Sequence[float]) -> Tensor:
    """(N,): the most of `sum of psi(z)` where `sum of z^2 <= r^2`, `psi(z) = slope z` with the slope of the least budget >= z.

    `slopes` (budgets, N, pixels). By weak duality `m r^2 + sum max (psi(z) - m z^2)` is above it for every m > 0. Of a zone the
    greatest value lies at `slope / 2 m` or at its ends.
    """
    radius = budgets[-1]
    first, last = (torch.linalg.vector_norm(part, dim=1) / (2 * radius) for part in (slopes[0], slopes[-1]))
    ends = [0.0, *budgets]
    best = torch.full_like(first, torch.inf)
    for share in torch.linspace(0, 1, _MULTIPLIERS).tolist():
        m = (first ** (1 - share) * last**share).clamp(min=1e-100).unsqueeze(1)
        gains = [
            z * (slope - m * z)
            for slope, low, high in zip(slopes, ends, budgets, strict=False)
            for z in [(slope / (2 * m)).clamp(low, high)]
        ]
        gain = torch.stack(gains).amax(0).sum(1)
        best = torch.minimum(best, m[:, 0] * (radius * radius) + gain)
    return best * (1 + gamma(4 * slopes.shape[2])) + 1e-90 * (radius * radius)
