"""The root certificate: the largest ball in which one linear bound proves the class (engine contract, section 8).

The radius is doubled until a proof fails and then found by bisection on a logarithmic scale. Where failure is as likely as
success the float32 evaluation goes first; a radius counts only once the float64 evaluation with its outward margin has
proven it (section 14).
"""

import math
from collections.abc import Callable
from typing import Any

import torch

from verification.engine.bounds.ball import ball_around
from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.problem import Problem
from verification.engine.relaxation import Rounding
from verification.engine.relaxation.rounding import LARGEST

_FINE = 1.01  # bisection ends when the failed radius is this close above the proven one
_START = 16.0  # the first radius tried is this much smaller than the first-order estimate: mostly proven at once
_RIVALS = 5  # classes that the first-order estimate looks at
_SMALLEST = 1e-9  # in the unit of the space; below it the search gives up and the bound stays zero


def prove(problem: Problem, radius: float, rigorous: bool, check: Callable[[], None]) -> bool:
    """Whether linear bounds show that every `delta` with `||delta|| <= radius` keeps the class.

    With `rigorous` the answer True is a proof for all real-valued perturbations, in float64 with rounding accounted for;
    without, it is float32's opinion.
    """
    rounding = Rounding(rigorous)
    region = ball_around(problem.frames, problem.space, problem.norm, radius, rounding)
    with torch.no_grad():
        bounds = LinearBounds(problem.graph_in(rounding.dtype), region, check)
        margins = bounds.margins(problem.label)
    tame = all(bool((box.magnitude < LARGEST).all()) for box in bounds.boxes)
    return tame and bool(torch.isfinite(margins).all()) and bool((margins > 0).all())


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


class RootSearch:
    """Anytime search for the root certificate. `lower` is always proven; `step` does one evaluation or two.

    `limit`: no radius above it is of interest (None: any).
    """

    def __init__(self, problem: Problem, limit: float | None) -> None:
        self.problem, self.limit = problem, limit
        self.lower = 0.0
        self.failed = math.inf  #: the least radius that could not be proven
        self.finished = False

    def step(self, upper: float | None, check: Callable[[], None]) -> float | None:
        """Try one radius. Returns it if it is proven, and then it is larger than every one before; otherwise None.

        `upper`: the distance of the best adversarial example, above which nothing can be proven.
        """
        ceiling = min(self.limit or math.inf, upper if upper is not None else math.inf)
        self.finished = self._settled(ceiling)
        if self.finished:
            return None
        radius = self._next(ceiling)
        doubtful = not math.isinf(self.failed)
        proven = (not doubtful or prove(self.problem, radius, rigorous=False, check=check)) and prove(
            self.problem, radius, rigorous=True, check=check
        )
        if proven:
            self.lower = radius
        else:
            self.failed = radius
        self.finished = self._settled(ceiling)
        return radius if proven else None

    def _settled(self, ceiling: float) -> bool:
        """The bracket is closed, the ceiling reached, every clip proven, or even the smallest radius has failed."""
        closed = self.failed <= max(self.lower * _FINE, _SMALLEST)
        return closed or self.lower >= min(ceiling, self.problem.farthest)

    def _next(self, ceiling: float) -> float:
        """The radius to try: grow or shrink until there is a bracket, then its geometric mean."""
        if math.isinf(self.failed):
            radius = min(self.lower * 2 or self._first(ceiling), ceiling)
            if radius < self.problem.farthest:
                return radius
            # Balls that hold every clip are all the same: one proves as much as is asked for.
            return ceiling if math.isfinite(ceiling) else self.problem.farthest
        high = min(self.failed, ceiling)
        return math.sqrt(self.lower * high) if self.lower else high / 8

    def _first(self, ceiling: float) -> float:
        guess = min(first_order_radius(self.problem), ceiling)
        return max(guess / _START, _SMALLEST) if math.isfinite(guess) else 1.0

    def state(self) -> dict[str, Any]:
        """What `restore` needs; JSON-able (infinity as None)."""
        failed = None if math.isinf(self.failed) else self.failed
        return {"lower": self.lower, "failed": failed, "finished": self.finished}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.lower = float(state["lower"])
        self.failed = math.inf if state["failed"] is None else float(state["failed"])
        self.finished = bool(state["finished"])
