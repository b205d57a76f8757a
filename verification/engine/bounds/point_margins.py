"""Proven bounds of the margins at single points of a space (docs/bounds.md, "Grid")."""

import torch
from torch import Tensor

from verification.engine.bounds.cell import ROUNDING, STEEPEST
from verification.engine.bounds.problem import Problem
from verification.engine.relaxation import Interval, Rounding
from verification.engine.relaxation.rounding import LARGEST


class PointMargins:
    """Forward passes in float64: `values` as they come out, and `__call__` with the rounding of every operation, a proof.

    One point at a time: on a processor batches of clips were slower, as measured on the demo.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.rounding = problem, Rounding(rigorous=True)

    def values(self, a: Tensor) -> Tensor:
        """(C - 1,): all margins at the coordinates `a` (K,), in the order of the other classes."""
        with torch.no_grad():
            logits = self.problem.logits(a.view(self.problem.space.shape))
            return logits[self.problem.label] - logits[self._others(len(logits))]

    def __call__(self, a: Tensor) -> Interval:
        """The same, (C - 1,), with certainty; infinite where numbers become too large."""
        with torch.no_grad():
            logits = self._logits(a)
            label, rest = self.problem.label, self._others(len(logits.lower))
            low, high = logits.lower[label] - logits.upper[rest], logits.upper[label] - logits.lower[rest]
            margin = self.rounding.gamma(1) * (logits.magnitude[label] + logits.magnitude[rest])
            return Interval((low - margin).nan_to_num(nan=-torch.inf), (high + margin).nan_to_num(nan=torch.inf))

    def _others(self, classes: int) -> list[int]:
        return [c for c in range(classes) if c != self.problem.label]

    def _logits(self, a: Tensor) -> Interval:
        problem, graph = self.problem, self.problem.graph
        clip = problem.perturbed(a.view(problem.space.shape)).unsqueeze(0)
        error = self._lost(clip, a)
        boxes: list[Interval | None] = [Interval(clip - error, clip + error)]
        last_use = graph.last_use()
        largest = clip.abs().amax()
        for number, node in enumerate(graph.nodes, start=1):
            inputs = [box for box in (boxes[value] for value in node.inputs) if box is not None]
            box = node.operation.interval(self.rounding, *inputs).widened(self.rounding.underflow)
            largest = torch.maximum(largest, box.magnitude.amax())
            boxes.append(box)
            for value in node.inputs:
                if last_use[value] == number:
                    boxes[value] = None
        result = boxes[-1]
        assert result is not None
        if not bool(largest < LARGEST):
            return Interval(*(torch.full_like(result.lower[0], end) for end in (-torch.inf, torch.inf)))
        return Interval(result.lower[0], result.upper[0])

    def _lost(self, clip: Tensor, a: Tensor) -> float:
        """By how much a pixel may differ from its true value: its position is a rounded sum, and so is its value.

        No coordinate moves a pixel farther than itself, and values lie in [0, 1].
        """
        size = 2 * max(clip.shape[-2:]) + float(a.abs().sum())
        return STEEPEST * ROUNDING * (clip.shape[1] + 8) * size
