"""The leaves of a certificate: boxes that cover the space by construction, and which of them the ball touches."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.errors import EngineError
from verification.engine.perturbation import Distortion, FlowSpace, Norm

_SLACK = 1e-12  # of a distance, or of a sum: more than its rounding in spaces of few dimensions
_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)  # of the multiplier that the ball alone would have


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


def centred(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K) each: `a = centre + half z` with z in [-1, 1]^K reaches all of the box, whatever rounding does."""
    centre = lower / 2 + upper / 2
    return centre, torch.maximum(upper - centre, centre - lower) + 1e-15 * torch.maximum(lower.abs(), upper.abs())


@dataclass(frozen=True)
class Ball:
    """`||B a||_p <= radius`, known by a norm of the coordinates: `||B a|| >= ||weights a||_p`, `weights` (K,) float64."""

    norm: Norm
    weights: Tensor
    radius: float

    @classmethod
    def of(cls, space: FlowSpace | Distortion, norm: Norm, radius: float) -> "Ball":
        """By the space's own weights; where it has none, no coordinate is longer than the longest change of a pixel.

        Of coordinates that may take any value for nothing the weight is zero, and the rest is known one by one.
        """
        scales = space.scales(norm)
        if scales is not None and not bool(scales.all()):
            return cls(Norm.LINF, scales.double(), radius)
        if scales is None:
            assert isinstance(space, FlowSpace)
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

    def least(self, slopes: Tensor, centre: Tensor, half: Tensor) -> Tensor:
        """(B, C): a lower bound of `slopes . z` (B, C, K) where `centre + half z` (B, K), z in [-1, 1]^K, lies in the ball.

        Weak duality: with x = weights a, the least of `slopes . z + m (||x|| - radius)` over the box for any m >= 0, and of the
        same with squares for L2, is such a bound. It is separable, and taken for a few fixed m. In L-infinity m is 0.
        """
        middle, reach = ((self.weights * part).unsqueeze(1) for part in (centre, half))
        low, high, radius = middle - reach, middle + reach, self.radius * (1 + _SLACK)
        steep = slopes / reach.clamp(min=1e-300)
        ends = torch.broadcast_tensors(low, high, slopes)[:2]
        bounds = [-slopes.abs().sum(-1)]
        if self.norm is Norm.L1:
            points = torch.stack([*ends, torch.zeros_like(slopes).clamp(low, high)])
            for m in steep.abs().unbind(-1):
                terms = steep * (points - middle) + m.unsqueeze(-1) * points.abs()
                bounds.append(_rounded_down(terms.amin(0), m * radius))
        if self.norm is Norm.L2:
            largest = torch.linalg.vector_norm(steep, dim=-1, keepdim=True) / (2 * radius)
            for share in _SHARES:
                m = (share * largest).clamp(min=1e-300)
                x = (-steep / (2 * m)).clamp(low, high)
                bounds.append(_rounded_down(steep * (x - middle) + m * x.square(), m[..., 0] * (radius * radius)))
        return torch.stack(bounds).nan_to_num(nan=-math.inf).amax(0) - _SLACK * slopes.abs().sum(-1)


def _rounded_down(terms: Tensor, less: Tensor) -> Tensor:
    """`sum terms - less` (..., K)."""
    return terms.sum(-1) - less - _SLACK * (terms.abs().sum(-1) + less)
