"""The root certificate: the largest ball in which one linear bound proves the class (engine contract, section 8).

Radii are tried in float32 and found by bisection on a logarithmic scale; a radius counts once the float64 evaluation with
its outward margin has proven it too (section 14).
"""

import math
from collections.abc import Callable
from typing import Any

import torch

from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.warp import FlowBall
from verification.engine.relaxation import Rounding

_FINE = 1.01  # bisection ends when the failed radius is this close above the proven one
_EARLY = 1.3  # a float32 radius this much above the proven one is proven at once, for people who watch
_SMALLEST = 1e-9  # pixels; below it the search gives up and the bound stays zero


def prove(problem: Problem, radius: float, rigorous: bool, check: Callable[[], None]) -> bool:
    """Whether linear bounds show that every `delta` with `||delta|| <= radius` keeps the class.

    With `rigorous` the answer True is a proof for all real-valued perturbations, in float64 with rounding accounted for;
    without, it is float32's opinion.
    """
    rounding = Rounding(rigorous)
    region = FlowBall(problem.frames, problem.space, problem.norm, radius, rounding)
    with torch.no_grad():
        bounds = LinearBounds(problem.graph_in(rounding.dtype), region, check)
        margins = bounds.margins(problem.label)
    return bool(torch.isfinite(margins).all()) and bool((margins > 0).all())


class RootSearch:
    """Anytime bisection for the root certificate. `lower` is always proven; `step` does one evaluation.

    `limit`: no radius above it is of interest (None: any).
    """

    def __init__(self, problem: Problem, limit: float | None) -> None:
        self.problem, self.limit = problem, limit
        self.lower = 0.0  # proven in float64
        self.believed = 0.0  # float32 succeeded
        self.failed = math.inf  # the least radius at which an evaluation failed
        self.finished = False

    def step(self, upper: float | None, check: Callable[[], None]) -> float | None:
        """One evaluation. Returns a newly proven radius, larger than every one before, or None.

        `upper`: the distance of the best adversarial example, above which nothing can be proven.
        """
        ceiling = min(self.limit or math.inf, upper if upper is not None else math.inf)
        if self._should_prove(ceiling):
            return self._prove(self.believed, check)
        if self.finished:
            return None
        radius = self._next(upper, ceiling)
        if prove(self.problem, radius, rigorous=False, check=check):
            self.believed = max(self.believed, radius)
        else:
            self.failed = min(self.failed, radius)
        self.finished = self._settled(ceiling)
        return None

    def _should_prove(self, ceiling: float) -> bool:
        gain = self.believed > self.lower * (_EARLY if not self._settled(ceiling) else 1.0)
        return gain and self.believed > 0

    def _settled(self, ceiling: float) -> bool:
        """Nothing is left to try: the bracket is closed, the ceiling reached, or even the smallest radius failed."""
        closed = self.failed <= max(self.believed, self.lower) * _FINE
        return closed or self.believed >= ceiling or self.failed <= _SMALLEST

    def _prove(self, radius: float, check: Callable[[], None]) -> float | None:
        if prove(self.problem, radius, rigorous=True, check=check):
            self.lower = radius
            return radius
        # Float32 was too hopeful: step back a little and try again from there.
        self.failed = min(self.failed, radius)
        self.believed = max(self.lower, radius * 0.995)
        if self.believed <= self.lower * 1.001:
            self.believed = self.lower
        return None

    def _next(self, upper: float | None, ceiling: float) -> float:
        """The radius to try: double or shrink until there is a bracket, then its geometric mean."""
        base = self.believed
        if base == 0 and math.isinf(self.failed):
            start = upper / 30 if upper is not None else 0.01
            return min(start, ceiling)
        if base == 0:
            return self.failed / 4
        if math.isinf(self.failed):
            return min(base * 2, ceiling)
        return math.sqrt(base * self.failed)

    def state(self) -> dict[str, Any]:
        """What `restore` needs; JSON-able (infinity as None)."""
        failed = None if math.isinf(self.failed) else self.failed
        return {"lower": self.lower, "believed": self.believed, "failed": failed, "finished": self.finished}

    def restore(self, state: dict[str, Any]) -> None:
        self.lower, self.believed = float(state["lower"]), float(state["believed"])
        self.failed = math.inf if state["failed"] is None else float(state["failed"])
        self.finished = bool(state["finished"])
