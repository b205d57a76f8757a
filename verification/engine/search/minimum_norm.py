"""The upper bound: a seeded search for the nearest adversarial example (engine contract, section 11).

A sequence of descents: first towards each class, the nearest by its estimated distance first, then restarts
around the best that is known. The sequence depends on the seed and on nothing else, however it is cut into slices.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.search.descent import Plan, descend
from verification.engine.search.polish import polish
from verification.engine.search.start import Start, first_order_start

_LENGTH = 60  # gradient evaluations of one descent
_SCREENING = 40  # and of the first descent towards a class
_TARGETS = 10  # classes that are tried one by one
_FIRST = 0.1  # the first point lies at this share of the first-order distance, which overestimates it
_HOPELESS = 1.25  # a descent that is halfway through and this much above the best is given up
_NEWS = 1e-3  # relative progress that is worth reporting


@dataclass(frozen=True)
class AdversarialCandidate:
    """Coordinates `a` (float64) that change the class, and the norm of their perturbation. Not yet confirmed."""

    a: Tensor
    norm: float


class MinimumNormSearch:
    """Anytime: every `step` does a bounded number of gradient evaluations. `limit`: only norms up to it count."""

    def __init__(self, problem: Problem, limit: float | None = None, seed: int = 0) -> None:
        self.problem, self.seed = problem, seed
        self.limit = math.inf if limit is None else limit
        self.best: Tensor | None = None  # coordinates, float64
        self.norm = math.inf
        self.attempt = 0  # number of the descent that comes next or is under way
        self._order: list[int] | None = None
        self._told = math.inf
        self._work: Iterator[None] | None = None

    def step(self, check: Callable[[], None], evaluations: int = 16) -> AdversarialCandidate | None:
        """`evaluations` gradient evaluations. Returns the best point if it became better by enough to matter.

        `check` is called before each evaluation and may raise `errors.Stopped`; what was found before is kept.
        """
        for _ in range(evaluations):
            check()
            if self._work is None:
                self._work = self._descent(check)
            try:
                next(self._work)
            except StopIteration:
                self._work, self.attempt = None, self.attempt + 1
        if self.best is None or self.norm >= self._told * (1 - _NEWS):
            return None
        self._told = self.norm
        return AdversarialCandidate(self.best, self.norm)

    def go_back(self, a: Tensor | None) -> None:
        """The best point was told, but does not count. The best is `a` again, or nothing, and what comes is measured by that."""
        self.best, self.norm = a, math.inf if a is None else self.problem.norm_of(a)
        self._told = self.norm

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What `restore` needs, as JSON and tensors. A descent under way begins again after `restore`."""
        tensors = {} if self.best is None else {"best": self.best.cpu()}
        return {"attempt": self.attempt}, tensors

    def restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.attempt, self._work = int(state["attempt"]), None
        if "best" in tensors:
            self.best = tensors["best"].to(self.problem.frames.device)
            self.norm = self.problem.norm_of(self.best)
            self._told = self.norm

    def _descent(self, check: Callable[[], None]) -> Iterator[None]:
        """One descent and its polishing; yields after every gradient evaluation."""
        plan, start = self._plan(check)
        yield
        found: Tensor | None = None
        least = math.inf
        for step, seen in enumerate(descend(self.problem, plan, start, self.limit)):
            if seen.adversarial and seen.norm < least:
                found, least = seen.a, seen.norm
                self._keep(seen.a.double())
            if step >= plan.length // 2 and min(seen.norm, least) > self.norm * _HOPELESS:
                return
            yield
        if found is not None:
            self._keep(polish(self.problem, found, check))

    def _keep(self, a: Tensor) -> None:
        norm = self.problem.norm_of(a)
        if norm < self.norm and norm <= self.limit:
            self.best, self.norm = a, norm

    def _plan(self, check: Callable[[], None]) -> tuple[Plan, Tensor]:
        """What the descent number `attempt` does, and where it starts."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.attempt)
        strides = self.problem.space.strides
        reach = strides[self.attempt % len(strides)]
        # The best point is taken up again as soon as two classes were tried: that gains most, and early.
        order: list[int | None] = [*self._targets(check)]
        order.insert(2, None)
        target = order[self.attempt] if self.attempt < len(order) else None
        if target is not None:
            return Plan(target, 0.7, _SCREENING, reach), self._from_clip(target, reach, generator)
        if self.attempt < len(order):
            return self._restart(0, reach, generator)
        return self._restart(self.attempt - len(order), reach, generator)

    def _restart(self, number: int, reach: float, generator: torch.Generator) -> tuple[Plan, Tensor]:
        """In turn: choose the sides of the kinks anew at the best point, refine it, or shake it; then a random start."""
        memory = (0.5, 0.9, 0.7)[number // 4 % 3]
        if self.best is None or number % 4 == 3:
            return Plan(None, memory, _LENGTH, reach), self._from_clip(None, reach, generator, noise=1.0)
        best = self.best.float()
        if number % 4 == 0:
            with torch.no_grad():
                clip = self.problem.perturbed(best)
            direction = first_order_start(self.problem, clip, None, reach).direction
            return Plan(None, memory, _LENGTH, reach, gentle=0.25), direction * self.norm
        if number % 4 == 1:
            return Plan(None, memory, _LENGTH, reach, gentle=0.5), best
        shaken = best + self._noise(best, generator) * (0.5 * self.norm)
        return Plan(None, memory, _LENGTH, reach, gentle=0.25), shaken

    def _from_clip(self, target: int | None, reach: float, generator: torch.Generator, noise: float = 0.0) -> Tensor:
        """A point on the steepest direction from the clip, well before the boundary; `noise`: its share of the norm."""
        start = self._start(target, reach)
        distance = _FIRST * start.distance if math.isfinite(start.distance) else 1.0
        distance = min(distance, self.limit, self.norm)
        shaken = start.direction + noise * self._noise(start.direction, generator)
        return shaken * distance

    def _start(self, target: int | None, reach: float) -> Start:
        return first_order_start(self.problem, self.problem.frames, target, reach)

    def _noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Gaussian coordinates of norm 1, the same on every device."""
        noise = torch.randn(like.shape, generator=generator).to(like.device)
        return noise / self.problem.norm_of(noise)

    def _targets(self, check: Callable[[], None]) -> list[int]:
        """The other classes, the nearest by its first-order distance first."""
        if self._order is None:
            with torch.no_grad():
                logits = self.problem.logits_of(self.problem.frames)
            logits[self.problem.label] = -torch.inf
            strongest = logits.argsort(descending=True)[: min(_TARGETS, len(logits) - 1)].tolist()
            distances = {}
            for target in strongest:
                check()
                distances[target] = self._start(target, self.problem.space.strides[0]).distance
            self._order = sorted(strongest, key=distances.__getitem__)
        return self._order
