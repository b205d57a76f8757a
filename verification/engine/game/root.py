"""The root certificate: the largest ball in which one linear bound proves the class (engine contract, section 8).

The radius grows until a proof fails and is then found by bisection on a logarithmic scale. A radius counts only once the
float64 evaluation with its outward margin has proven it (section 14). A ball that is too large is not tried in vain: its
relaxations hold in every smaller ball.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from verification.engine.bounds.ball import ball_around
from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.region import Region
from verification.engine.bounds.slopes import sharpened
from verification.engine.relaxation import Rounding
from verification.engine.relaxation.rounding import LARGEST
from verification.engine.result import Turn

#: Elements of all functionals of one evaluation, and the share of the clip that one of them may see (`LinearBounds`): intervals
#: alone for a first proof; what a small network takes; what looks at few frames of a large one; everything.
_EFFORTS: tuple[tuple[int | None, float], ...] = ((0, 1.0), (1 << 27, 1.0), (None, 0.2), (None, 1.0))
_FINE = 1.002  # bisection ends when the failed radius is this close above the proven one
_DEEP, _HALVINGS = 64.0, 5  # how far below a failed radius, and how finely, a smaller one is looked for
_AIM, _SLOW, _FAST = 0.6, 1.5, 8.0  # a proof shall use up this share of the margin; bounds of the step in radius
_STEEP, _SLOWEST = 0.2, 1.1  # a large network's loss grows with the fifth power of the radius, as measured; least step
_LARGE = 1024.0  # its linear bounds are first tried this far below the first-order estimate
_AGAIN = 4.0  # and after a failure this much nearer
_START = 16.0  # the first radius tried is this much smaller than the first-order estimate: mostly proven at once
_NEARLY = 0.1  # where the margins fail by no more than this share of them, better slopes may prove them
_RIVALS = 5  # classes that the first-order estimate looks at
_SMALLEST = 1e-9  # in the unit of the space; below it the search gives up and the bound stays zero


@dataclass(frozen=True)
class Attempt:
    """What linear bounds of one ball show.

    `proven`: the largest radius, at most that of the ball, for which all margins are positive; 0 if none was found.
    `kept`: the least lower bound of a margin over the whole ball, as a share of that margin at the clip.
    `complete`: no effort was spared, so that a failure is final.
    """

    proven: float
    kept: float
    complete: bool


def attempt(
    problem: Problem,
    radius: float,
    rigorous: bool,
    check: Callable[[], None],
    effort: tuple[int | None, float] = (None, 1.0),
    least: float = 0.0,
    room: float = math.inf,
) -> Attempt:
    """Bound the margins over the ball of `radius` and, if they are not all positive, over smaller ones above `least`.

    With `rigorous` the answer is a proof for all real-valued perturbations, in float64 with rounding accounted for;
    without, it is float32's opinion. Relaxations of a ball hold in every smaller ball: those are cheap, if not as tight as with
    relaxations of their own. `effort`: see `_EFFORTS`. `room`: bytes for relaxations, see `LinearBounds`.
    """
    rounding = Rounding(rigorous)

    def ball(size: float) -> Region:
        return ball_around(problem.frames, problem.space, problem.norm, size, rounding)

    with torch.no_grad():
        graph = problem.graph_in(rounding.dtype)
        most, widest = effort
        bounds = LinearBounds(graph, ball(radius), check, room=room, effort=most, widest=widest, places=problem.places)
        margins = bounds.margins(problem.label)
        full = _clip_margins(problem).to(margins)
        kept = _least(margins / full)
        if not all(bool((box.magnitude < LARGEST).all()) for box in bounds.boxes):
            return Attempt(0.0, -math.inf, bounds.complete)
        if bounds.complete and -_NEARLY < kept <= 0:
            margins = sharpened(bounds, problem.label, margins)
            kept = _least(margins / full)

        def positive(size: float) -> bool:
            return _all_positive(bounds.within(ball(size)).margins(problem.label))

        proven = radius if _all_positive(margins) else _largest_within(positive, max(least, radius / _DEEP), radius)
    return Attempt(proven, kept, bounds.complete)


def prove(problem: Problem, radius: float, rigorous: bool, check: Callable[[], None]) -> bool:
    """Whether linear bounds show that every `delta` with `||delta|| <= radius` keeps the class (see `attempt`)."""
    return attempt(problem, radius, rigorous, check, least=radius).proven == radius


def _least(shares: Tensor) -> float:
    return float(shares.nan_to_num(nan=-math.inf).min())


def _all_positive(margins: Tensor) -> bool:
    return bool(torch.isfinite(margins).all()) and bool((margins > 0).all())


def _clip_margins(problem: Problem) -> Tensor:
    """(C - 1,): the margins of the clip itself, in the order of the classes, kept off zero."""
    logits = problem.logits_of(problem.frames.double())
    margins = logits[problem.label] - logits
    return torch.cat([margins[: problem.label], margins[problem.label + 1 :]]).clamp(min=1e-12)


def _largest_within(positive: Callable[[float], bool], least: float, failed: float) -> float:
    """Nearly the largest size between `least` and `failed` that is positive; 0 if `least` is not."""
    if least >= failed or not positive(least):
        return 0.0
    low, high = least, failed
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if positive(middle) else (low, middle)
    return low


def first_order_radius(problem: Problem) -> float:
    """Where the margins would vanish if they were linear: the least `m_c / ||gradient of m_c||_*` over the nearest rivals.

    Neither a lower nor an upper bound, but of the right order. Infinite where no margin changes.
    """
    space = problem.space
    delta = torch.zeros(space.delta_shape, dtype=torch.float64, device=problem.frames.device, requires_grad=True)
    logits = problem.logits_of(space.perturbed(problem.frames.double(), delta))
    estimate = math.inf
    for rival in logits.argsort(descending=True)[: _RIVALS + 1].tolist():
        if rival == problem.label:
            continue
        margin = logits[problem.label] - logits[rival]
        (gradient,) = torch.autograd.grad(margin, delta, retain_graph=True)
        slope = space.steepness(gradient, problem.norm)
        estimate = min(estimate, margin.item() / slope if slope > 0 else math.inf)
    return estimate


def _growth(lost: float, large: bool) -> float:
    """By what factor the radius may grow after a proof that lost this share of the margins; `large`: of a large network."""
    room = _AIM / max(lost, 1e-6)
    return max(room**_STEEP, _SLOWEST) if large else min(max(room, _SLOW), _FAST)


class RootSearch:
    """Anytime search for the root certificate. `lower` is always proven; `step` bounds one ball.

    `limit`: no radius above it is of interest (None: any). `float32_first`: whether float32 goes first where failure is as likely
    as success; it pays where float64 is many times slower, as on most GPUs. `room`: bytes for relaxations.

    A deep network's intermediate bounds take minutes, and far too large a ball makes them the dearest. So the search starts with
    little effort and spends more, level by level, where it was too little.
    """

    def __init__(
        self, problem: Problem, limit: float | None, float32_first: bool | None = None, room: float = math.inf
    ) -> None:
        self.problem, self.limit, self.room = problem, limit, room
        self.float32_first = problem.frames.is_cuda if float32_first is None else float32_first
        self.lower = 0.0
        self.failed = math.inf  #: the least radius that could not be proven
        self.level = 0  #: of `_EFFORTS`
        self.final = False  #: whether that radius failed although no effort was spared
        self.kept: float | None = None  #: of the margins, in the last proof of this level
        self.finished = False

    def step(self, upper: float | None, check: Callable[[], None]) -> float | None:
        """Try one radius. Returns what is proven if it is larger than every radius before; otherwise None.

        `upper`: the distance of the best adversarial example, above which nothing can be proven.
        """
        ceiling = min(self.limit or math.inf, upper if upper is not None else math.inf)
        self.finished = self._settled(ceiling)
        if self.finished:
            return None
        radius, before = self._next(ceiling), self.lower
        result = None
        if self.float32_first and math.isfinite(self.failed):
            result = self._attempt(radius, rigorous=False, check=check)
        if result is None or result.proven > before:
            radius = radius if result is None else result.proven
            result = self._attempt(radius, rigorous=True, check=check)
        self._learn(radius, result)
        self.finished = self._settled(ceiling)
        return self.lower if self.lower > before else None

    def _attempt(self, radius: float, rigorous: bool, check: Callable[[], None]) -> Attempt:
        return attempt(self.problem, radius, rigorous, check, _EFFORTS[self.level], self.lower * _FINE, self.room)

    def _learn(self, radius: float, result: Attempt) -> None:
        self.lower = max(self.lower, result.proven)
        if result.proven >= radius:
            self.kept = result.kept
            if not self.final:
                self.failed = math.inf  # with less effort: it has told where to begin and says no more
        else:
            self.failed, self.final = radius, result.complete
        if self.level == 0:
            if (self.lower > 0 and not result.complete) or self.failed <= _SMALLEST:
                self.level, self.kept = 1, None
                self.failed, self.final = math.inf, False  # what intervals alone cannot prove says little
        elif result.proven < radius and not result.complete and self._exhausted:
            self.level, self.kept = self.level + 1, None

    @property
    def _exhausted(self) -> bool:
        """Whether the level has done what it can: a large network's is not given up before it has proven something.

        Unless nothing has been proven at all: then there is nothing to come near to, and only all effort ends the search.
        """
        return self.level <= 1 or self.kept is not None or not self.lower or self.failed <= self.lower * _DEEP

    def _settled(self, ceiling: float) -> bool:
        """The bracket is closed for good, the ceiling reached, every clip proven, or even the smallest radius has failed."""
        closed = self.final and self.failed <= max(self.lower * _FINE, _SMALLEST)
        return closed or self.lower >= min(ceiling, self.problem.farthest)

    def _next(self, ceiling: float) -> float:
        """The radius to try: shrink or grow until there is a bracket, then its geometric mean.

        It grows no faster than the margin of the last proof suggests, because failing in too large a ball is dear.
        """
        growth = math.inf if self.kept is None else _growth(1 - self.kept, self.level > 1)
        if math.isinf(self.failed):
            step = _FAST if self.kept is None else growth
            radius = min(max(self.lower * step, self._first(ceiling)), ceiling)
            if radius < self.problem.farthest:
                return radius
            # Balls that hold every clip are all the same: one proves as much as is asked for.
            return ceiling if math.isfinite(ceiling) else self.problem.farthest
        high = min(self.failed, ceiling)
        if not self.lower:
            return high / (_DEEP if self.level == 0 else 8)
        if self.level > 1 and self.kept is None:
            near = min(self._estimate / _LARGE, high / _AGAIN)
            if near > self.lower * _AGAIN:
                return near
        return min(math.sqrt(self.lower * high), self.lower * growth)

    @cached_property
    def _estimate(self) -> float:
        return first_order_radius(self.problem)

    def _first(self, ceiling: float) -> float:
        """Where a level that knows nothing yet begins."""
        if self.level > 1:
            return 0.0
        guess = min(self._estimate, ceiling)
        return max(guess / _START, _SMALLEST) if math.isfinite(guess) else 1.0

    def picture(self) -> None:
        """A ball has no players."""

    def turns(self) -> Iterator[Turn]:
        """None."""
        return iter(())

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What `restore` needs; JSON-able (infinity as None), and no tensors."""
        failed = None if math.isinf(self.failed) else self.failed
        names = ("lower", "level", "final", "kept", "finished")
        return {name: getattr(self, name) for name in names} | {"failed": failed}, {}

    def restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self.lower = float(state["lower"])
        self.kept = None if state["kept"] is None else float(state["kept"])
        self.failed = math.inf if state["failed"] is None else float(state["failed"])
        self.level, self.final, self.finished = int(state["level"]), bool(state["final"]), bool(state["finished"])
