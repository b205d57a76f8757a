"""Admissible A* over cells (engine contract, section 9): the two players' game, made sound for all real-valued flows.

A state is a cell, a box of coordinates. Player I chooses a flow, Player II a dimension in it and an atomic manipulation: one
of the two halves of the cell along that dimension. They cooperate to reach the nearest adversarial example. The estimate of a
cell is a distance that no adversarial example in it falls below, so the least estimate of all cells is a lower bound.

The search has a target, a radius within which cells are bounded: outside of the ball nothing needs a proof. When all
estimates have reached the target it grows, up to the best adversarial example or the radius that was asked for.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from verification.engine.bounds.cell import Cell, fields_of
from verification.engine.bounds.distance import Yardstick, least_distances, yardstick_of
from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.problem import Problem
from verification.engine.game.frontier import Cut, Frontier
from verification.engine.game.root import first_order_radius
from verification.engine.perturbation import FlowSpace
from verification.engine.relaxation import Rounding
from verification.engine.relaxation.rounding import LARGEST

#: Spaces of more dimensions are left to the root's ball.
MOST_DIMENSIONS = 64
_START = 16.0  # the first target is this much smaller than the first-order estimate
_GROWTH = 1.25  # of the target
_FARTHEST = 2.0  # pixels: where displacements may differ by more from those of the centre, a cell is split at once
_BEYOND = 1 + 1e-9  # cells are bounded a little beyond the target, so that rounding leaves no gap


@dataclass(frozen=True)
class Estimate:
    """What is known of a cell: a distance that no adversarial example in it falls below, and how much each dimension matters."""

    distance: float
    sensitivity: Tensor


class CellSearch:
    """Anytime search for the lower bound. `lower` is always proven; `step` expands one cell.

    `limit`: no radius above it is of interest (None: any). `room`: bytes for relaxations.
    """

    def __init__(self, problem: Problem, limit: float | None, room: float = math.inf) -> None:
        assert isinstance(problem.space, FlowSpace)
        self.problem, self.space, self.limit, self.room = problem, problem.space, limit, room
        self.frontier = Frontier(self.space.dimensions)
        self.target = 0.0
        self.lower = 0.0
        self.finished = False

    def step(self, upper: float | None, check: Callable[[], None]) -> float | None:
        """Expand one cell. Returns what is proven if that is more than before; otherwise None.

        `upper`: the distance of the best adversarial example, above which nothing can be proven.
        """
        ceiling = min(self.limit or math.inf, upper if upper is not None else math.inf)
        before = self.lower
        self._aim(ceiling)
        if not self.finished:
            self._expand(check)
            self.lower = max(self.lower, min(self.frontier.least, self.target))
        return self.lower if self.lower > before else None

    def _aim(self, ceiling: float) -> None:
        """Raise the target where it has been reached."""
        if self.frontier.least >= self.target:
            first = first_order_radius(self.problem) / _START if not self.target else self.target * _GROWTH
            self.target = min(max(first, 1e-9) if math.isfinite(first) else 1.0, ceiling)
            self.finished = self.frontier.least >= self.target
        self.target = min(self.target, ceiling)

    def _expand(self, check: Callable[[], None]) -> None:
        """Split the cell of least estimate if it is known where, and estimate what has come of it."""
        cell = self.frontier.take()
        estimate, cut = self.frontier.estimate_of(cell), self.frontier.cut_of(cell)
        try:
            estimates = [self._estimated(*box, estimate, check) for box in _halves(self.frontier.box(cell), cut)]
        except BaseException:
            self.frontier.put(cell, estimate, cut)
            raise
        cells = (cell,) if cut is None else self.frontier.split(cell, cut)
        for part, (distance, next_cut) in zip(cells, estimates, strict=True):
            self.frontier.put(part, distance, next_cut)

    def _estimated(
        self, lower: Tensor, upper: Tensor, known: float, check: Callable[[], None]
    ) -> tuple[float, Cut | None]:
        """The estimate of a box, and where to split it if that is below the target."""
        nearest = torch.zeros_like(lower).clamp(lower, upper)
        known = max(known, self.problem.norm_of(nearest.view(self.space.shape)) / _BEYOND)
        if known >= self.target:
            return known, None
        reach = self.target * _BEYOND / self._yardstick.weights
        low, high = lower.clamp(min=-reach), upper.clamp(max=reach)
        if bool((low >= high).any()):
            return self.target, None
        estimate = self._bound(low, high, check)
        known = max(known, min(estimate.distance, self.target))
        return known, None if known >= self.target else self._cut(low, high, estimate.sensitivity)

    def _bound(self, low: Tensor, high: Tensor, check: Callable[[], None]) -> Estimate:
        """By linear bounds of the margins over the box."""
        problem = self.problem
        cell = Cell(problem.frames, self._fields, low, high, Rounding(rigorous=True))
        if float(cell.extent.amax()) > _FARTHEST:
            return Estimate(0.0, (high - low) * self._fields.abs().flatten(1).amax(1))
        with torch.no_grad():
            bounds = LinearBounds(problem.graph, cell, check, room=self.room, effort=0)
            if not all(bool((box.magnitude < LARGEST).all()) for box in bounds.boxes):
                return Estimate(0.0, high - low)
            parts = [bounds.below(rows) for rows in bounds.margin_batches(problem.label)]
            constants, slopes = (torch.cat(part) for part in zip(*parts, strict=True))
            distances = least_distances(self._yardstick, cell.centre, cell.half, constants, slopes)
        return Estimate(float(distances.amin()), slopes[int(distances.argmin())].abs())

    def _cut(self, low: Tensor, high: Tensor, sensitivity: Tensor) -> Cut:
        """Where the margin is most sensitive, at the lattice line nearest to the middle or else in the middle.

        Between lattice lines the frames are bilinear functions of the displacement.
        """
        dimension = int(sensitivity.nan_to_num(nan=0.0).argmax())
        first, last = float(low[dimension]), float(high[dimension])
        line = float(round((first + last) / 2))
        return Cut(dimension, line if first < line < last else first / 2 + last / 2)

    @cached_property
    def _fields(self) -> Tensor:
        return fields_of(self.space, self.problem.frames.device)

    @cached_property
    def _yardstick(self) -> Yardstick:
        return yardstick_of(self.space, self.problem.norm)

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What `restore` needs: JSON-able, and tensors."""
        return {"target": self.target, "lower": self.lower, "finished": self.finished}, self.frontier.tensors()

    def restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self.target, self.lower, self.finished = float(state["target"]), float(state["lower"]), bool(state["finished"])
        self.frontier = Frontier.restore(tensors)


def _halves(box: tuple[Tensor, Tensor], cut: Cut | None) -> list[tuple[Tensor, Tensor]]:
    """Both parts of a box, or the box where it is not split."""
    if cut is None:
        return [box]
    lower, upper = box
    below, above = upper.clone(), lower.clone()
    below[cut.dimension] = above[cut.dimension] = cut.place
    return [(lower, below), (above, upper)]
