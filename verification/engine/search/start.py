"""The first direction of a search, with the kink at the unchanged clip taken into account.

At whole-pixel positions bilinear interpolation has a kink: the clip changes at one rate when a pixel's content moves
right and at another when it moves left. So has a pixel value at 0 or 1: beyond, it is clipped. The gradient at the clip
itself knows one side only, and a search that begins on the wrong side of a pixel seldom crosses over. Here both one-sided
rates are used: with them the margin is, to first order, a sum of functions of one component of the motion each with a kink
at zero, and its steepest direction is found by linearising on the side where the current direction lies. For a concave kink
each round can only improve it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.search.steepest import steepest

_PROBE = 1e-3  # pixels of flow: on one side of the kink, and inside the first lattice cell; or a pixel value
_ROUNDS = 10


@dataclass(frozen=True)
class Start:
    """`direction`: coordinates with norm 1. `distance`: where the first-order margin vanishes along it (inf: never)."""

    direction: Tensor
    distance: float


def margin_of(logits: Tensor, label: int, target: int | None) -> Tensor:
    """`N(v, y) - N(v, target)`; with no target the strongest other class. A scalar, differentiable."""
    if target is None:
        others = logits.detach().clone()
        others[label] = -torch.inf
        target = int(others.argmax())
    return logits[label] - logits[target]


def first_order_start(problem: Problem, clip: Tensor, target: int | None, reach: float) -> Start:
    """The steepest direction for the margin against `target`, with the pixels' weights taken at `clip` (l, 3, h, w)."""
    seen = clip.detach().requires_grad_(True)
    margin = margin_of(problem.logits_of(seen), problem.label, target)
    (weights,) = torch.autograd.grad(margin, seen)
    right, left = _rate(problem, weights, _PROBE), _rate(problem, weights, -_PROBE)
    rates = torch.where(-right >= left, right, left)
    direction = torch.zeros(problem.space.shape, device=clip.device)
    for _ in range(_ROUNDS):
        direction = _unit(problem, _pull_back(problem, rates), reach)
        motion = _motion(problem, direction)
        # What stands still keeps its better side.
        rates = torch.where(motion > 0, right, torch.where(motion < 0, left, rates))
    fall = -float((rates * _motion(problem, direction)).sum())
    return Start(direction, float(margin.detach()) / fall if fall > 0 else float("inf"))


def _rate(problem: Problem, weights: Tensor, offset: float) -> Tensor:
    """Derivative of `weights . clip` by every component of the motion, on the side of the kink where `offset` lies."""
    space, frames = problem.space, problem.frames
    still = space.motion(torch.zeros(space.delta_shape, device=frames.device))
    motion = torch.full_like(still, offset).requires_grad_(True)
    (rate,) = torch.autograd.grad((weights * space.moved(frames, motion)).sum(), motion)
    return rate


def _motion(problem: Problem, a: Tensor) -> Tensor:
    return problem.space.motion(problem.space.lift(a))


def _pull_back(problem: Problem, rates: Tensor) -> Tensor:
    """The gradient in the coordinates `a` of `rates . motion(a)`, which is linear in `a`."""
    a = torch.zeros(problem.space.shape, device=rates.device, requires_grad=True)
    (gradient,) = torch.autograd.grad((rates * _motion(problem, a)).sum(), a)
    return gradient


def _unit(problem: Problem, gradient: Tensor, reach: float) -> Tensor:
    room = problem.space.room(problem.frames, -gradient)
    direction = steepest(problem.space, gradient, problem.norm, 1.0, reach, room)
    return direction / max(problem.norm_of(direction), 1e-30)
