"""The first direction of a search: the steepest to first order with the kinks at the unchanged clip taken into account.

A search that begins on the wrong side of a pixel seldom crosses over, so every component first goes to its better side. Then
the direction moves in shrinking shares towards the steepest one on the sides where it lies (Frank-Wolfe).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.search.kinks import Kinks
from verification.engine.search.steepest import steepest

_ROUNDS = 20


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
    kinks = Kinks.at_rest(problem, weights)
    direction = _unit(problem, kinks.descent(problem), reach)
    for i in range(_ROUNDS):
        share = 2 / (i + 3)
        step = _unit(problem, kinks.gradient(problem, direction), reach)
        direction = _normed(problem, (1 - share) * direction + share * step)
    fall = kinks.fall(problem, direction)
    return Start(direction, float(margin.detach()) / fall if fall > 0 else float("inf"))


def _unit(problem: Problem, gradient: Tensor, reach: float) -> Tensor:
    room = problem.space.room(problem.frames, -gradient)
    return _normed(problem, steepest(problem.space, gradient, problem.norm, 1.0, reach, room))


def _normed(problem: Problem, direction: Tensor) -> Tensor:
    return direction / max(problem.norm_of(direction), 1e-30)
