"""How much perturbations of a bounded norm can do: the dual norm of a space of flows, as the checker computes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.certificate.forms import gamma
from verification.engine.errors import UnsupportedOperationError
from verification.engine.perturbation import FlowSpace, Norm
from verification.engine.perturbation.spaces.dense import Dense

_MULTIPLIERS = 8  # that are tried
_MOST_DIMENSIONS = 4096  # of spaces other than those of single pixels

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

    def most(self, falls: Falls, budgets: Sequence[float], at: Crop, shape: Sequence[int]) -> Tensor:
        """(N,): the most of `sum signed . delta + spread . |delta|` over the ball, rounded up.

        `falls`: signed and spread (N, flows, 2, h, w), for pixels that take at most each of the `budgets`, the last of which is
        the radius. Flows after those have zeros. `at`: the part of the frames (l, 3, h, w) that is left.
        """
        if not falls[0][0].shape[1]:
            return falls[0][0].new_zeros(len(falls[0][0]))
        if not self._pixelwise:
            return self._of_coordinates(*falls[-1], at, shape) * budgets[-1]
        flows = falls[0][0].shape[1]
        moving = self.space.moving[:flows].to(falls[0][0])
        alike = moving.shape[1:] == (1, 1)
        mask = (moving if alike else moving[:, at[1], at[2]]).unsqueeze(1)
        sizes = [(signed.abs() + spread) * mask for signed, spread in falls]
        if self.norm is Norm.LINF:
            return sizes[-1].flatten(1).sum(1) * budgets[-1]
        if self.norm is Norm.L1:
            return sizes[-1].flatten(1).amax(1) * budgets[-1]
        slopes = torch.stack([size.square().sum((1, 2)).sqrt().flatten(1) for size in sizes])
        return _shared(slopes, budgets) * (1 + gamma(2 * sizes[0][0].numel()))

    def _of_coordinates(self, signed: Tensor, spread: Tensor, at: Crop, shape: Sequence[int]) -> Tensor:
        scales = self.space.scales(self.norm)
        if scales is None:
            raise UnsupportedOperationError(
                f"cannot check: the space {self.space.name!r} in the norm {self.norm.value} has no dual norm in closed form"
            )
        size = self._summed(signed, self._fields, at, shape).abs() + self._summed(spread, self._fields.abs(), at, shape)
        scaled = size / scales.to(size).expand(self.space.shape).flatten()
        return torch.linalg.vector_norm(scaled, ord=self.norm.dual.p, dim=1) * (1 + gamma(2 * signed[0].numel()))

    @cached_property
    def _fields(self) -> Tensor:
        """(K, l - 1, 2, h, w): B."""
        if self.space.dimensions > _MOST_DIMENSIONS:
            raise UnsupportedOperationError(
                f"cannot check: a space {self.space.name!r} of {self.space.dimensions} dimensions; at most {_MOST_DIMENSIONS}"
            )
        unit = torch.eye(self.space.dimensions, dtype=torch.float64)
        return torch.stack([self.space.lift(row.view(self.space.shape)) for row in unit])

    def _summed(self, rates: Tensor, fields: Tensor, at: Crop, shape: Sequence[int]) -> Tensor:
        """(N, K): `B^T rates`."""
        fields = fields[:, : rates.shape[1], :, at[1], at[2]].to(rates)
        return rates.flatten(1) @ fields.flatten(1).T


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
        best = torch.minimum(best, m[:, 0] * radius**2 + gain)
    return best * (1 + gamma(4 * slopes.shape[2])) + 1e-90 * radius**2
