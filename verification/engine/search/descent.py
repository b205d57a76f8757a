"""One descent to the decision boundary and along it: the inner loop of the minimum-norm search.

The best point of an Lp ball for a linear margin is the extreme point against the gradient, so the perturbation moves by a
share towards the extreme point of an averaged gradient (Frank-Wolfe with momentum), while its norm follows Newton's method
on the ray: out while the class stands, in once it has changed. Both steps shrink as the descent goes on. What is averaged
are the rates on both sides of the kinks (`Kinks`), so one gradient of the network serves a few steps through the warp.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.search.kinks import Kinks, motion_of
from verification.engine.search.start import margin_of
from verification.engine.search.steepest import steepest

_TURN = (0.5, 0.1)  # share of the way to the extreme point, first and last
_STRETCH = (0.2, 0.05)  # relative change of the norm, first and last
_APPROACH = 0.4  # relative change of the norm until the boundary is met for the first time
_PARTS = 2  # steps through the warp for one gradient of the network
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
    a = problem.shortest(start)
    average: Kinks | None = None
    sides: set[bool] = set()  # of the boundary, that have been seen
    least, reached = math.inf, math.inf  # of the margin, and the norm where it was seen
    for step in range(plan.length):
        progress = plan.gentle + (1 - plan.gentle) * step / plan.length
        turn, stretch = _between(_TURN, progress), _between(_STRETCH, progress)
        point = _evaluate(problem, plan, a)
        seen = point.seen
        yield seen
        sides.add(seen.adversarial)
        if len(sides) == 1 and plan.gentle == 0:
            stretch = _APPROACH
        size = float(torch.linalg.vector_norm(point.rates))
        if not (math.isfinite(size) and size > 0):
            return
        kinks = Kinks.around(problem, point.weights, point.motion, point.rates)
        average = kinks.joined(average, plan.memory, size)
        if seen.margin < least:
            least, reached = seen.margin, seen.norm
        wanted = min(_wanted_norm(point, stretch), limit)
        if sides == {False}:
            # Further out only as long as that lowers the margin: elsewhere the direction has to turn first.
            wanted = min(wanted, reached * (1 + stretch))
        a = problem.shortest(_turned(problem, a, average, turn, wanted, plan.reach))


@dataclass(frozen=True)
class _Point:
    """`motion` of the evaluated point, the derivative of its margin by it (`rates`), and by its clip (`weights`)."""

    seen: Evaluation
    motion: Tensor
    rates: Tensor
    weights: Tensor


def _evaluate(problem: Problem, plan: Plan, a: Tensor) -> _Point:
    motion = motion_of(problem, a.detach()).requires_grad_(True)
    clip = problem.space.moved(problem.frames, motion)
    logits = problem.judged(clip)
    margin = margin_of(logits, problem.label, plan.target)
    rates, weights = torch.autograd.grad(margin, (motion, clip))
    winner = int(logits.detach().argmax())
    won = winner != problem.label and bool(logits.detach()[winner] > logits.detach()[problem.label])
    seen = Evaluation(a, problem.norm_of(a), float(margin.detach()), won, winner)
    return _Point(seen, motion.detach(), rates, weights)


def _turned(problem: Problem, a: Tensor, kinks: Kinks, turn: float, norm: float, reach: float) -> Tensor:
    """`a` after the share `turn` of the way to the extreme point, in parts that each look at the sides anew."""
    share = 1 - (1 - turn) ** (1 / _PARTS)
    for _ in range(_PARTS):
        gradient = kinks.gradient(problem, a)
        room = problem.space.room(problem.frames, -gradient)
        extreme = steepest(problem.space, gradient, problem.norm, norm, reach, room)
        a = _sized(problem, (1 - share) * a + share * _sized(problem, extreme, norm), norm)
    return a


def _wanted_norm(point: _Point, stretch: float) -> float:
    """Newton along the ray through `a`, at most the share `stretch` away from the present norm."""
    seen = point.seen
    slope = -float((point.rates * point.motion).sum()) / max(seen.norm, 1e-30)
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
