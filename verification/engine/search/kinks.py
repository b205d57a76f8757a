"""A margin to first order in what moves, with the kinks that it has where nothing moves.

At whole-pixel positions bilinear interpolation has a kink: the clip changes at one rate when a pixel's content moves
right and at another when it moves left. So has a pixel value at 0 or 1: beyond, it is clipped. A gradient knows one side
only, and perturbations are so small that half of the pixels stay next to their kink. With both one-sided rates the margin
is, to first order, a sum of functions of one component of the motion each, with a kink at zero. They are cheap: the second
side costs a backward pass through the warp, but none through the network.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem

_PROBE = 1e-3  # pixels of flow: on one side of the kink, and inside the first lattice cell; or a pixel value
_ROUNDING = 0.3  # of the mean motion: within that share of it a kink is rounded off


@dataclass(frozen=True)
class Kinks:
    """`right`, `left`: the rate of the margin by every component of the motion, where it is positive and where negative."""

    right: Tensor
    left: Tensor

    @classmethod
    def at_rest(cls, problem: Problem, weights: Tensor) -> Self:
        """Around no motion. `weights`: the derivative of the margin by the clip, (l, 3, h, w)."""
        still = torch.zeros_like(motion_of(problem, torch.zeros(problem.space.shape, device=weights.device)))
        return cls(_rates(problem, weights, still + _PROBE), _rates(problem, weights, still - _PROBE))

    @classmethod
    def around(cls, problem: Problem, weights: Tensor, motion: Tensor, here: Tensor) -> Self:
        """Around `motion`, where the rates are `here`; on the other side of zero they are those right next to it."""
        forwards = motion >= 0
        there = _rates(problem, weights, torch.where(forwards, -_PROBE, _PROBE))
        return cls(torch.where(forwards, here, there), torch.where(forwards, there, here))

    def joined(self, past: Self | None, memory: float, size: float) -> Self:
        """These over `size`, averaged with the `past`, which weighs `memory`."""
        right, left = self.right / size, self.left / size
        if past is not None:
            right, left = (memory * old + (1 - memory) * new for old, new in ((past.right, right), (past.left, left)))
        return type(self)(right, left)

    def descent(self, problem: Problem) -> Tensor:
        """The gradient in the coordinates `a` if every component moved to its better side."""
        return _pull_back(problem, torch.where(-self.right >= self.left, self.right, self.left))

    def gradient(self, problem: Problem, a: Tensor) -> Tensor:
        """The gradient in the coordinates at `a`, with the kinks rounded off: elsewhere it would flicker from side to side."""
        motion = motion_of(problem, a)
        side = (motion / (_ROUNDING * motion.abs().mean()).clamp(min=1e-30)).clamp(-1, 1)
        return _pull_back(problem, ((self.right + self.left) + (self.right - self.left) * side) / 2)

    def fall(self, problem: Problem, a: Tensor) -> float:
        """By how much the margin falls from no motion to `a`."""
        motion = motion_of(problem, a)
        return -float((torch.where(motion > 0, self.right, self.left) * motion).sum())


def motion_of(problem: Problem, a: Tensor) -> Tensor:
    return problem.space.motion(problem.space.lift(a))


def _rates(problem: Problem, weights: Tensor, motion: Tensor) -> Tensor:
    """Derivative of `weights . clip` by every component of the motion."""
    motion = motion.detach().requires_grad_(True)
    (rates,) = torch.autograd.grad((weights * problem.space.moved(problem.frames, motion)).sum(), motion)
    return rates


def _pull_back(problem: Problem, rates: Tensor) -> Tensor:
    """The gradient in the coordinates `a` of `rates . motion(a)`, which is linear in `a`."""
    a = torch.zeros(problem.space.shape, device=rates.device, requires_grad=True)
    (gradient,) = torch.autograd.grad((rates * motion_of(problem, a)).sum(), a)
    return gradient
