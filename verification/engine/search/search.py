"""What every search for an upper bound is: anytime, monotone, and able to go on from a checkpoint."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from verification.engine.bounds.problem import Problem

_NEWS = 1e-3  # relative progress that is worth reporting


@dataclass(frozen=True)
class AdversarialCandidate:
    """Coordinates `a` (float64) that change the class, and the norm of their perturbation. Not yet confirmed."""

    a: Tensor
    norm: float


class Search(ABC):
    """Anytime: every `step` does a bounded number of evaluations. `limit`: only norms up to it count."""

    #: Whether its work is so dear that it is kept in checkpoints also while nothing was found.
    laborious: ClassVar[bool] = False
    #: Of the time, while the proof is at work as well.
    share: ClassVar[float] = 0.35

    def __init__(self, problem: Problem, limit: float | None = None) -> None:
        self.problem = problem
        self.limit = math.inf if limit is None else limit
        self.best: Tensor | None = None  #: coordinates, float64
        self.norm = math.inf
        self.finished = False  #: it can find nothing more
        self._told = math.inf

    def step(self, check: Callable[[], None], evaluations: int = 16) -> AdversarialCandidate | None:
        """Do `evaluations`. Returns the best point if it became better by enough to matter.

        `check` is called before each evaluation and may raise `errors.Stopped`; what was found before is kept.
        """
        for _ in range(evaluations):
            if self.finished:
                break
            check()
            self._evaluate(check)
        if self.best is None or self.norm >= self._told * (1 - _NEWS):
            return None
        self._told = self.norm
        return AdversarialCandidate(self.best, self.norm)

    @abstractmethod
    def _evaluate(self, check: Callable[[], None]) -> None:
        """The next piece of work."""

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What `restore` needs, as JSON and tensors."""
        return {}, {} if self.best is None else {"best": self.best.cpu()}

    def restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        if "best" in tensors:
            self.best = tensors["best"].to(self.problem.frames.device)
            self.norm = self.problem.norm_of(self.best)
            self._told = self.norm

    def go_back(self, a: Tensor | None) -> None:
        """The best point was told, but does not count. The best is `a` again, or nothing, and what comes is measured by that."""
        self.best, self.norm = a, math.inf if a is None else self.problem.norm_of(a)
        self._told = self.norm

    def _keep(self, a: Tensor) -> None:
        norm = self.problem.norm_of(a)
        if norm < self.norm and norm <= self.limit:
            self.best, self.norm = a, norm
