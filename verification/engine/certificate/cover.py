"""The leaves of a certificate: boxes that cover the space by construction, and which of them the ball touches."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.errors import EngineError
from verification.engine.perturbation import FlowSpace, Norm

_SLACK = 1e-12  # of a distance: more than its rounding in spaces of few dimensions


class CoverError(EngineError):
    """Splits that make no cover; the message says which one and why."""


@dataclass(frozen=True)
class Split:
    """Leaf `cell` becomes its part below `place` in coordinate `dimension`; the part above is a new leaf, the next number."""

    cell: int
    dimension: int
    place: float


def leaves_of(splits: Iterable[Split], dimensions: int) -> tuple[Tensor, Tensor]:
    """`lower`, `upper` (leaves, K) float64, from leaf 0, which is all of R^K. Raises CoverError.

    Every split lies inside of its leaf, so that the leaves cover R^K whatever the splits are, and overlap in sides only.
    """
    lowers, uppers = [[-math.inf] * dimensions], [[math.inf] * dimensions]
    for number, split in enumerate(splits, start=1):
        if not (0 <= split.cell < len(lowers) and 0 <= split.dimension < dimensions):
            raise CoverError(
                f"split {number} is of leaf {split.cell} in dimension {split.dimension}, which does not exist"
            )
        low, high = lowers[split.cell][split.dimension], uppers[split.cell][split.dimension]
        if not low < split.place < high:
            raise CoverError(
                f"split {number} at {split.place} lies outside of its leaf, which goes from {low} to {high}"
            )
        lowers.append(list(lowers[split.cell]))
        uppers.append(list(uppers[split.cell]))
        uppers[split.cell][split.dimension] = split.place
        lowers[-1][split.dimension] = split.place
    return torch.tensor(lowers, dtype=torch.float64), torch.tensor(uppers, dtype=torch.float64)


@dataclass(frozen=True)
class Ball:
    """`||B a||_p <= radius`, known by a norm of the coordinates: `||B a|| >= ||weights a||_p`, `weights` (K,) float64."""

    norm: Norm
    weights: Tensor
    radius: float

    @classmethod
    def of(cls, space: FlowSpace, norm: Norm, radius: float) -> "Ball":
        """By the space's own weights; where it has none, no coordinate is longer than the longest change of a pixel."""
        scales = space.scales(norm)
        if scales is None:
            return cls(Norm.LINF, torch.full((space.dimensions,), 1 / space.stride(norm), dtype=torch.float64), radius)
        return cls(norm, scales.double().expand(space.shape).flatten(), radius)

    def distances(self, lower: Tensor, upper: Tensor) -> Tensor:
        """(B,): no point of a box `lower`, `upper` (B, K) is nearer, rounded down."""
        nearest = torch.zeros_like(lower).clamp(lower, upper)
        return torch.linalg.vector_norm(self.weights * nearest, ord=self.norm.p, dim=1) * (1 - _SLACK)

    def clipped(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (B, K) cut down to the box that holds the ball, rounded outward."""
        reach = self.radius / self.weights * (1 + _SLACK)
        low = torch.maximum(lower, -reach)
        return low, torch.maximum(torch.minimum(upper, reach), low)

    def least(self, slopes: Tensor) -> Tensor:
        """(...,): a lower bound of `slopes . a` in the ball for slopes (..., K), by Hoelder's inequality."""
        dual = torch.linalg.vector_norm(slopes / self.weights, ord=self.norm.dual.p, dim=-1)
        return -self.radius * dual * (1 + _SLACK)
