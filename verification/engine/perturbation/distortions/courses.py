"""Where the content of a clip goes as a parameter grows: displacements `D(p) = sum_k g_k(p) S_k` with fixed fields S_k.

A course is the functions g_k; every one of them is zero at p = 0.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

_DEGREE = math.pi / 180
_DOUBLING = math.log(2.0)
_ROUNDED = 1e-12  # bounds of derivatives are rounded outward by this


@dataclass(frozen=True)
class Course(ABC):
    """The functions g_k of one parameter; twice differentiable."""

    @abstractmethod
    def amounts(self, p: Tensor) -> Tensor:
        """`g_k(p)` of each of N parameters, (N, 1) to (N, K); differentiable, and exactly zero at zero."""

    @abstractmethod
    def bends(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """(N, K) each: between which values `g_k''` is for `lower <= p <= upper`, (N, 1) each."""


@dataclass(frozen=True)
class Turn(Course):
    """By p degrees: `1 - cos p` and `sin p`."""

    def amounts(self, p: Tensor) -> Tensor:
        angle = p * _DEGREE
        return torch.cat([1 - angle.cos(), angle.sin()], 1)

    def bends(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and minus sine; both change by no more than the angle does."""
        middle, half = (lower / 2 + upper / 2) * _DEGREE, (upper - lower) / 2 * _DEGREE
        waves = torch.cat([middle.cos(), -middle.sin()], 1)
        least, most = (waves - half - _ROUNDED).clamp(min=-1), (waves + half + _ROUNDED).clamp(max=1)
        return _DEGREE**2 * least, _DEGREE**2 * most


@dataclass(frozen=True)
class Zoom(Course):
    """By the factor `2 ** p`: `1 - 2 ** -p`."""

    def amounts(self, p: Tensor) -> Tensor:
        return 1 - (-p).exp2()

    def bends(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        steep = -(_DOUBLING**2)
        return steep * (1 + _ROUNDED) * (-lower).exp2(), steep * (1 - _ROUNDED) * (-upper).exp2()


@dataclass(frozen=True)
class Drift(Course):
    """Straight on: p itself."""

    def amounts(self, p: Tensor) -> Tensor:
        return p

    def bends(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(lower), torch.zeros_like(upper)
