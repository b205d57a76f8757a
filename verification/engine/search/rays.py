"""The search for adversarial examples among natural distortions: along rays from the clip, ever more finely.

A family has few parameters and its clips may come back to the class, so nothing is gained by gradients: every ray is looked at
from the clip outwards in equal steps, up to the best example, and the step in which the class changes first is bisected.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.perturbation import Distortion
from verification.engine.search.polish import changes_class
from verification.engine.search.search import Search

_STEPS = 16  # of the first look along a ray; each round over all rays takes twice as many
_ROUNDS = 9  # over all rays; after that there is nothing more to find along a line
_BISECTIONS = 40  # at most
_EXACT = 1e-7  # bisection ends at this relative width
_RAYS = 8  # random ones in a round, for each parameter
_NEAR = 0.3  # how far every second random ray is from the best one, of norm 1


class RaySearch(Search):
    """Its evaluations are forward passes, and few of them find what there is.

    `seed`: of the random rays, which there are where parameters are several.
    """

    share = 0.15

    def __init__(self, problem: Problem, limit: float | None = None, seed: int = 0) -> None:
        super().__init__(problem, limit)
        assert isinstance(problem.space, Distortion)
        self.space, self.seed = problem.space, seed
        self.attempt = 0  #: number of the ray that comes next or is under way
        self._work: Iterator[None] | None = None

    def _evaluate(self, check: Callable[[], None]) -> None:
        if self._work is None:
            self._work = self._along(self._ray(), _STEPS << (self.attempt // self._rays))
        try:
            next(self._work)
        except StopIteration:
            self._work, self.attempt = None, self.attempt + 1
            self.finished = self._rays <= 2 and self.attempt >= _ROUNDS * self._rays

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """A ray under way begins again after `restore`."""
        return {"attempt": self.attempt}, super().state()[1]

    def restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        super().restore(state, tensors)
        self.attempt, self._work = int(state["attempt"]), None

    @property
    def _rays(self) -> int:
        """In a round: both senses of every parameter that counts, and random ones where there are several parameters."""
        return 2 * self.space.dimensions + (0 if self.space.dimensions == 1 else _RAYS * self.space.dimensions)

    def _ray(self) -> tuple[Tensor, Tensor]:
        """Where the ray begins, at distance zero, and its direction of norm 1; zero if there is nothing in this sense."""
        least, most = self._domain
        counts = self.space.scales(self.problem.norm).to(least) > 0
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.attempt)
        noise = torch.randn(len(least), generator=generator, dtype=torch.float64).to(least)
        start = least + torch.rand(len(least), generator=generator, dtype=torch.float64).to(least) * (most - least)
        number = self.attempt % self._rays
        if number < 2 * len(least):
            direction = torch.zeros_like(least)
            direction[number // 2] = 1.0 - 2.0 * (number % 2)
        elif self.best is not None and number % 2:
            direction = self.best / self.norm + _NEAR * noise
            start = torch.lerp(self.best.clamp(least, most), start, _NEAR)
        else:
            direction = noise
        direction = torch.where(counts, direction, 0.0)
        size = float(self.space.norm(direction, self.problem.norm))
        return torch.where(counts, 0.0, start), direction / max(size, 1e-300)

    @property
    def _domain(self) -> tuple[Tensor, Tensor]:
        least, most = self.space.domain()
        return least.to(self.problem.frames.device), most.to(self.problem.frames.device)

    def _along(self, ray: tuple[Tensor, Tensor], steps: int) -> Iterator[None]:
        """Look from the clip outwards until the class changes; yields after every evaluation."""
        start, direction = ray
        end = min(self._exit(direction), self.limit, self.norm)
        safe = 0.0
        for step in range(1, steps + 1):
            here = end * step / steps
            if not here > 0:
                return
            changed = changes_class(self.problem, start + here * direction)
            yield
            if changed:
                break
            safe = here
        else:
            return
        self._keep(start + here * direction)
        for _ in range(_BISECTIONS):
            if here - safe <= _EXACT * here:
                break
            middle = (safe + here) / 2
            if changes_class(self.problem, start + middle * direction):
                here = middle
            else:
                safe = middle
            yield
        self._keep(start + here * direction)

    def _exit(self, direction: Tensor) -> float:
        """How far the ray goes until the last of its parameters has come to its limit."""
        least, most = self._domain
        room = torch.where(direction > 0, most, -least) / direction.abs().clamp(min=1e-300)
        moving = direction != 0
        return float(room[moving].amax()) if bool(moving.any()) else 0.0
