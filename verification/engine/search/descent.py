"""One descent to the decision boundary and along it: the inner loop of the minimum-norm search.

The best point of an Lp ball for a linear margin is the extreme point against the gradient, so the perturbation moves by a
growing share towards the extreme point of an averaged gradient (Frank-Wolfe with momentum), while its norm follows
Newton's method on the ray: out while the class stands, in once it has changed. Both steps shrink as the descent goes on.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.search.start import margin_of
from verification.engine.search.steepest import steepest

_TURN = (0.5, 0.1)  # share of the way to the extreme point, first and last
_STRETCH = (0.2, 0.05)  # relative change of the norm, first and last
_APPROACH = 0.4  # relative change of the norm until the boundary is met for the first time
_BEYOND = 1e-4  # how far past the boundary Newton aims, in logits


@dataclass(frozen=True)
class Plan:
    """How one descent goes. `target`: class to reach, None the nearest. `memory`: weight of the past in the average.

    `length`: gradient evaluations. `reach`: see `steepest`. `gentle`: starts with smaller steps, to refine a good point.
    """

    target: int | None
    memory: float
    length: int
    reach: float
    gentle: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """The point `a`, its norm, its margin against the plan's target, and whether any other class has won there."""

    a: Tensor
    norm: float
    margin: float
    adversarial: bool
    label: int


def descend(problem: Problem, plan: Plan, start: Tensor, limit: float) -> Iterator[Evaluation]:
    """Yield one evaluation after another from `start` (coordinates), never beyond the norm `limit`."""
    a, average = problem.shortest(start), torch.zeros_like(start)
    sides: set[bool] = set()  # of the boundary, that have been seen
    least, reached = math.inf, math.inf  # of the margin, and the norm where it was seen
    for step in range(plan.length):
        progress = plan.gentle + (1 - plan.gentle) * step / plan.length
        turn, stretch = _between(_TURN, progress), _between(_STRETCH, progress)
        seen, gradient = _evaluate(problem, plan, a)
        yield seen
        sides.add(seen.adversarial)
        if len(sides) == 1 and plan.gentle == 0:
            stretch = _APPROACH
        size = float(torch.linalg.vector_norm(gradient))
        if not (math.isfinite(size) and size > 0):
            return
        average = plan.memory * average + (1 - plan.memory) * gradient / size
        if seen.margin < least:
            least, reached = seen.margin, seen.norm
        wanted = min(_wanted_norm(seen, gradient, stretch), limit)
        if sides == {False}:
            # Further out only as long as that lowers the margin: elsewhere the direction has to turn first.
            wanted = min(wanted, reached * (1 + stretch))
        room = problem.space.room(problem.frames, -average)
        extreme = steepest(problem.space, average, problem.norm, wanted, plan.reach, room)
        extreme = _sized(problem, extreme, wanted)
        a = problem.shortest(_sized(problem, (1 - turn) * a + turn * extreme, wanted))


def _evaluate(problem: Problem, plan: Plan, a: Tensor) -> tuple[Evaluation, Tensor]:
    point = a.detach().requires_grad_(True)
    logits = problem.logits(point)
    margin = margin_of(logits, problem.label, plan.target)
    (gradient,) = torch.autograd.grad(margin, point)
    winner = int(logits.detach().argmax())
    won = winner != problem.label and bool(logits.detach()[winner] > logits.detach()[problem.label])
    return Evaluation(a, problem.norm_of(a), float(margin.detach()), won, winner), gradient


def _wanted_norm(seen: Evaluation, gradient: Tensor, stretch: float) -> float:
    """Newton along the ray through `a`, at most the share `stretch` away from the present norm."""
    slope = -float((gradient * seen.a).sum()) / max(seen.norm, 1e-30)
    inwards = seen.adversarial and seen.margin > 0  # a class other than the target has won
    if slope > 0 and not inwards:
        wanted = seen.norm + (seen.margin + _BEYOND) / slope
    else:
        wanted = seen.norm * (1 - stretch if seen.adversarial else 1 + stretch)
    return min(max(wanted, seen.norm * (1 - stretch)), seen.norm * (1 + stretch))


def _sized(problem: Problem, a: Tensor, norm: float) -> Tensor:
    """`a` scaled so that its perturbation has the given norm."""
    return a * (norm / float(problem.space.norm(a, problem.norm).clamp(min=1e-30)))


def _between(ends: tuple[float, float], progress: float) -> float:
    first, last = ends
    return float(first * (last / first) ** progress)
