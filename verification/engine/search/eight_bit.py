"""The question of an adversarial example that survives the rounding of its frames to 8 bits, for the search."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.clip.rounding import rounded
from verification.engine.network.graph import Graph
from verification.engine.search.start import margin_of


@dataclass(frozen=True)
class EightBitProblem(Problem):
    """As the problem `exact`, but the class counts as changed only where it is changed before and after rounding.

    Both are asked for. The exact clip is what the lower bound is about: an example that rounding alone makes could lie
    below it. The rounded clip is what people can save and show.
    """

    exact: Problem

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """The same question, asked more strictly."""
        return cls(problem.graph, problem.frames, problem.space, problem.norm, problem.label, problem)

    def graph_in(self, dtype: torch.dtype) -> Graph:
        """Shared with the exact problem: a second copy of a large network would be a waste."""
        return self.exact.graph_in(dtype)

    def judged(self, clip: Tensor) -> Tensor:
        """(C,): the logits of the clip that holds on to its class more, the exact or the rounded one.

        Rounding is constant almost everywhere; its gradient is taken to be that of the values before (straight through).
        """
        exact = self.logits_of(clip)
        grey = self.logits_of(clip + (rounded(clip) - clip).detach())
        return grey if bool(_margin(grey, self.label) > _margin(exact, self.label)) else exact


def _margin(logits: Tensor, label: int) -> Tensor:
    return margin_of(logits.detach(), label, None)
