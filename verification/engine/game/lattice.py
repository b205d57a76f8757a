"""The tau-grid of a space: its points, how far they are, and what lies in their cells (the paper's Def. 6, Theorem 1).

A point is `a = tau n` with integers n (K,), its cell the box `|a_i - tau n_i| <= tau / 2`. The norm of every space is the same
for either sign of a coordinate and never falls when one grows, so the nearest point of a cell is `(|n| - 1/2)_+ tau`.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.perturbation import FlowSpace, Norm

_SLACK = 1e-9  # of a distance: far more than what rounding can add to one
_STEP = 4e-16  # of a cell's size for each step of its point from zero, whose product with tau is rounded


@dataclass(frozen=True)
class Lattice:
    """`tau`: the length of a step along a coordinate, in its unit."""

    space: FlowSpace
    norm: Norm
    tau: float

    @cached_property
    def _weights(self) -> Tensor | None:
        """(K,) with `||B a||_p = ||weights a||_p`, where there are such numbers."""
        scales = self.space.scales(self.norm)
        return None if scales is None else scales.double().cpu().expand(self.space.shape).flatten()

    @cached_property
    def width(self) -> float:
        """`d~(Lp, tau)` of Eq. 4, the diameter of a cell: |D| tau, sqrt(|D| tau^2) or tau where all weights are 1."""
        return float(self._lengths(torch.full((1, self.space.dimensions), self.tau, dtype=torch.float64))[0])

    def half(self, steps: Tensor) -> Tensor:
        """(B,): no point of the cells of `steps` (B, K) is farther than this from theirs, as rounded."""
        return self.width / 2 * (1 + _SLACK + _STEP * steps.abs().double().amax(1))

    def distances(self, steps: Tensor) -> Tensor:
        """(B,): of the grid points `steps` (B, K) from the clip."""
        return self._lengths(steps.abs().double() * self.tau)

    def nearest(self, steps: Tensor) -> Tensor:
        """(B,): lower bounds of the distances of all points in the cells."""
        return self._lengths((steps.abs().double() - 0.5).clamp(min=0) * self.tau) * (1 - _SLACK)

    def coordinates(self, steps: Tensor) -> Tensor:
        return steps.double() * self.tau

    def after(self, steps: Tensor, dimensions: Tensor) -> tuple[Tensor, Tensor]:
        """(M,) each: `distances` and `nearest` of `steps` (K,) one step farther from zero, in each of `dimensions` (M,)."""
        size = steps.abs().double()
        inner = (size - 0.5).clamp(min=0)
        distances = self._changed(size * self.tau, dimensions, (size[dimensions] + 1) * self.tau)
        nearest = self._changed(inner * self.tau, dimensions, (size[dimensions] + 0.5) * self.tau)
        return distances, nearest * (1 - _SLACK)

    def _changed(self, sizes: Tensor, dimensions: Tensor, larger: Tensor) -> Tensor:
        """(M,): the lengths of `sizes` (K,) with the entry at each of `dimensions` replaced by the `larger` one."""
        if self._weights is None:
            rows = sizes.repeat(len(dimensions), 1)
            return self._lengths(rows.scatter(1, dimensions.unsqueeze(1), larger.unsqueeze(1)))
        before, weighted = sizes * self._weights, larger * self._weights[dimensions]
        if self.norm is Norm.LINF:
            return torch.maximum(before.amax(), weighted)
        if self.norm is Norm.L1:
            return before.sum() + (weighted - before[dimensions])
        return (before.square().sum() + (weighted.square() - before[dimensions].square())).sqrt()

    def _lengths(self, sizes: Tensor) -> Tensor:
        if self._weights is not None:
            return torch.linalg.vector_norm(sizes * self._weights, ord=self.norm.p, dim=1)
        return torch.stack([self.space.norm(row.view(self.space.shape), self.norm) for row in sizes])
