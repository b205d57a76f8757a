"""Admissible A* over cells (engine contract, section 9): the two players' game, made sound for all real-valued flows.

A state is a cell, a box of coordinates. Player I chooses a flow, Player II a dimension in it and an atomic manipulation: one
of the two halves of the cell along that dimension. They cooperate to reach the nearest adversarial example. The estimate of a
cell is a distance that no adversarial example in it falls below, so the least estimate of all cells is a lower bound.

The search has a target, a radius within which cells are bounded: outside of the ball nothing needs a proof. When all
estimates have reached the target it grows, up to the best adversarial example or the radius that was asked for.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from verification.engine.bounds.cell_margins import CellMargins, Margins
from verification.engine.bounds.distance import Yardstick, least_distances, yardstick_of
from verification.engine.bounds.problem import Problem
from verification.engine.game.frontier import Cut, Frontier
from verification.engine.game.picture import picture_of
from verification.engine.game.root import first_order_radius
from verification.engine.perturbation import Distortion, FlowSpace
from verification.engine.result import GamePicture

#: Spaces of more dimensions are left to the root's ball.
MOST_DIMENSIONS = 16
_LONG = 0.25  # a side that is cut is at least this part of the longest one
_STEADY = 0.8  # of the strategy that is shown, from batch to batch
_START = 64.0  # the first target is this much smaller than the first-order estimate
_GROWTH, _SURGE = 1.25, 2.0  # of the target, and while all cells are bounded at once
_FARTHEST = 1e9  # in the unit of the space; where nothing alters the class the search ends there
_BEYOND = 1 + 1e-9  # cells are bounded a little beyond the target, so that rounding leaves no gap

_WIDER, _NARROWER = (
    1.4,
    0.7,
)  # than one that was proven, or than one that was not, may the next cell be in one dimension
_BARELY = 1.001  # wider than it may be: that is rounding
_DEAR = 2  # dimensions: in so few, splitting a cell and its parts costs less than refined bounds


@dataclass(frozen=True)
class _Part:
    """What is to be bounded of a cell: `low <= a <= high`, the `whole` cell or what lies within reach of the target.

    `known`: no adversarial example in the cell is nearer.
    """

    cell: int
    known: float
    low: Tensor
    high: Tensor
    whole: bool


class CellSearch:
    """Anytime search for the lower bound. `lower` is always proven; a step bounds cells of least estimate.

    `limit`: no radius above it is of interest (None: any), and with `at_once` none below it. `room`: bytes for relaxations.
    `floor`: what is proven otherwise. `strategy`: (K,) the players' choices as a distribution over dimensions, by sensitivity
    times width in the linear bounds.
    """

    def __init__(self, problem: Problem, limit: float | None, room: float = math.inf, at_once: bool = False) -> None:
        assert isinstance(problem.space, FlowSpace | Distortion)
        self.problem, self.space, self.limit, self.room = problem, problem.space, limit, room
        self.at_once = at_once
        self.frontier = Frontier(self.space.dimensions)
        self.target = 0.0
        self.floor = self.lower = 0.0
        self.bounded = 0  #: how often the margins over a cell have been bounded
        #: In one dimension, below zero and above: how wide a cell may be before it is split at once.
        self._widths: dict[str, float] = {}
        self.strategy = torch.full((self.space.dimensions,), 1 / self.space.dimensions, dtype=torch.float64)
        self.finished = False

    def step(self, upper: float | None, check: Callable[[], None]) -> float | None:
        """Expand cells. Returns what is proven if that is more than before; otherwise None.

        `upper`: the distance of the best adversarial example, above which nothing can be proven.
        """
        ceiling = min(
            self.limit or math.inf, upper if upper is not None else math.inf, self.problem.farthest, _FARTHEST
        )
        before = self.lower
        self._aim(ceiling)
        if not self.finished:
            self._expand(check)
        self.lower = max(self.lower, min(self._least, self.target))
        return self.lower if self.lower > before else None

    def _aim(self, ceiling: float) -> None:
        """Raise the target where it has been reached."""
        if not self.target:
            self.target = self.limit if self.at_once and self.limit is not None else self._first()
        while self._least >= self.target and self.target < ceiling:
            grown = self.target * (_SURGE if self.frontier.count < self.margins.at_once else _GROWTH)
            # In one dimension by a cell at least: narrower ones cost as much.
            self.target = max(grown, self.target + max(self._widths.values(), default=0.0))
        self.target = min(self.target, ceiling)
        self.finished = self._least >= self.target

    def _first(self) -> float:
        """The first target, small enough to be proven soon."""
        first = first_order_radius(self.problem) / _START
        return max(first, 1e-9) if math.isfinite(first) else 1.0

    @property
    def _least(self) -> float:
        """No adversarial example is nearer."""
        return max(self.frontier.least, self.floor)

    def _expand(self, check: Callable[[], None]) -> None:
        """Bound cells of least estimate, as many as are bounded at once, and find out where to split them."""
        batch: list[_Part] = []
        reach, horizon = self._horizon()
        try:
            while len(batch) < self.margins.at_once and (cell := self.frontier.take(self.target)) is not None:
                batch += self._opened(cell, reach, horizon)
            found = self._bound(batch, check) if batch else []
        except BaseException:
            self.frontier.reopen()
            raise
        for part, (distance, cut) in zip(batch, found, strict=True):
            self._learn(part, distance)
            if not part.whole and math.isinf(distance) and self.space.dimensions == 1:
                self._peel(part, horizon)
                continue
            distance = max(part.known, distance if part.whole else min(distance, horizon))
            self.frontier.put(part.cell, distance, None if distance >= self.target else cut)

    def _peel(self, part: _Part, horizon: float) -> None:
        """In one dimension: what is proven becomes a cell of its own, so that it is never bounded again as the target grows."""
        inner = part.cell
        for place, outside in ((float(part.low[0]), 0), (float(part.high[0]), 1)):
            lower, upper = self.frontier.box(inner)
            if float(lower[0]) < place < float(upper[0]):
                halves = self.frontier.split(inner, Cut(0, place))
                self.frontier.put(halves[outside], max(part.known, horizon), None)
                inner = halves[1 - outside]
        self.frontier.put(inner, math.inf, None)

    def _learn(self, part: _Part, distance: float) -> None:
        """In one dimension: how wide cells may be. Bounds are dear, and too wide a cell costs some in vain."""
        if self.space.dimensions > 1:
            return
        width, proven = float(part.high[0] - part.low[0]), distance >= self.target
        for sense in _senses(part.low, part.high):
            known = self._widths.get(sense, width if proven else math.inf)
            if proven:
                self._widths[sense] = max(known, width * _WIDER)
            else:
                self._widths[sense] = min(known, width * _NARROWER)

    def _too_wide(self, low: Tensor, high: Tensor) -> bool:
        if self.space.dimensions == 1:
            most = min(self._widths.get(sense, math.inf) for sense in _senses(low, high))
            if float(high[0] - low[0]) > most * _BARELY:
                return True
        return bool(self.margins.too_wide(low[None], high[None]))

    def _opened(self, cell: int, reach: Tensor, horizon: float) -> list[_Part]:
        """Do with a cell what needs no bounds: split it, or put it back with a distance. What needs them is returned.

        `reach`, `horizon`: see `_horizon`.
        """
        known, cut = self.frontier.estimate_of(cell), self.frontier.cut_of(cell)
        if cut is not None:
            for half in self.frontier.split(cell, cut):
                self.frontier.put(half, known, None)
            return []
        lower, upper = self._limited(*self.frontier.box(cell))
        if bool((lower > upper).any()):  # beyond what there is: the same clips as at the limits, which are nearer
            self.frontier.put(cell, math.inf, None)
            return []
        nearest = torch.zeros_like(lower).clamp(lower, upper)
        known = max(known, self.floor, self.problem.norm_of(nearest.view(self.space.shape)) / _BEYOND)
        low, high = lower.clamp(min=-reach), upper.clamp(max=reach)
        if known < self.target and bool(((lower >= reach) | (upper <= -reach)).any()):
            known = horizon
        if known >= self.target:
            self.frontier.put(cell, known, None)
        elif self._too_wide(low, high):
            self.frontier.put(cell, known, self._cut(low, high, (high - low) * self._reach))
        else:
            return [_Part(cell, known, low, high, torch.equal(low, lower) and torch.equal(high, upper))]
        return []

    def _horizon(self) -> tuple[Tensor, float]:
        """How far cells are bounded along each coordinate (K,), and the least distance of what lies beyond.

        Whole pixels, where the target is so far away: cells between lattice lines are not bounded again as it grows.
        """
        weights = self._yardstick.weights
        reach = self.target * _BEYOND / weights
        if self.margins.family.whole:
            reach = torch.where(reach > 1, reach.ceil(), reach)
        beyond = torch.where(weights > 0, weights * reach, torch.inf)  # what costs nothing has no horizon
        # At least the target, which rounding must not bring this below: no cell could ever reach it.
        return reach, max(float(beyond.amin()) / _BEYOND, self.target)

    def _limited(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """A box (K,) within the limits of its coordinates."""
        least, most = self._domain
        return torch.maximum(lower, least), torch.minimum(upper, most)

    @cached_property
    def _domain(self) -> tuple[Tensor, Tensor]:
        return self.space.domain()

    def _bound(self, batch: Sequence[_Part], check: Callable[[], None]) -> list[tuple[float, Cut]]:
        """For each part a distance that no adversarial example in it falls below, and where to split it."""
        low, high = torch.stack([part.low for part in batch]), torch.stack([part.high for part in batch])
        found = [(0.0, self._cut(*sides, (sides[1] - sides[0]) * self._reach)) for sides in zip(low, high, strict=True)]
        left, chances = list(range(len(batch))), []
        for refined in (True,) if self.margins.large else (False, True):
            if not left:
                break
            self.bounded += len(left)
            for index, margins in zip(left, self.margins(low[left], high[left], refined, check), strict=True):
                if margins is not None:
                    distance, sensitivity = self._judged(margins)
                    chances.append(sensitivity / sensitivity.sum().clamp(min=1e-300))
                    found[index] = (
                        max(distance, found[index][0]),
                        self._cut(low[index], high[index], sensitivity),
                    )
            left = [index for index in left if found[index][0] < self.target and self.space.dimensions > _DEAR]
        if chances:
            self.strategy = _STEADY * self.strategy + (1 - _STEADY) * torch.stack(chances).mean(0)
        return found

    def _cut(self, low: Tensor, high: Tensor, sensitivity: Tensor) -> Cut:
        """Where the margin is most sensitive, at the lattice line nearest to the middle or else in the middle.

        Between lattice lines the frames are bilinear functions of the displacement. Only sides that are not much shorter than
        the longest are cut: a margin that bends in one dimension without a slope would have the others cut in vain.
        """
        width = (high - low) * self._reach
        long = width >= _LONG * width.amax()
        dimension = int(torch.where(long, sensitivity.nan_to_num(nan=0.0), -1.0).argmax())
        first, last = float(low[dimension]), float(high[dimension])
        line = float(round((first + last) / 2))
        good = self.margins.family.whole and first < line < last
        return Cut(dimension, line if good else first / 2 + last / 2)

    def _judged(self, margins: Margins) -> tuple[float, Tensor]:
        """The distance of the nearest point that may be adversarial, and what the margin in question owes to each dimension."""
        distances = least_distances(self._yardstick, margins.centre, margins.half, margins.constants, margins.slopes)
        return float(distances.amin()), margins.slopes[int(distances.argmin())].abs()

    @cached_property
    def margins(self) -> CellMargins:
        """What bounds cells."""
        return CellMargins(self.problem, self.room)

    @cached_property
    def _reach(self) -> Tensor:
        """(K,): how much a unit of each coordinate weighs: of flows the farthest that it moves any pixel."""
        return self.margins.family.reach.cpu()

    @cached_property
    def _yardstick(self) -> Yardstick:
        return yardstick_of(self.space, self.problem.norm)

    def picture(self) -> GamePicture:
        """What there is to see of the players."""
        weights = self.strategy / self.strategy.sum()
        estimate = min(self._least, self.target)
        return picture_of(self.margins.family, self.frontier, self.target, estimate, self.bounded, weights)

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What `restore` needs: JSON-able, and tensors."""
        numbers = {"target": self.target, "floor": self.floor, "lower": self.lower, "finished": self.finished}
        return numbers | {"bounded": self.bounded, "widths": dict(self._widths)}, self.frontier.tensors()

    def restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self.target, self.floor, self.lower = (float(state[name]) for name in ("target", "floor", "lower"))
        self.finished, self.bounded = bool(state["finished"]), int(state["bounded"])
        self._widths = {side: float(width) for side, width in state["widths"].items()}
        self.frontier = Frontier.restore(tensors)


def _senses(low: Tensor, high: Tensor) -> list[str]:
    """On which sides of zero an interval (1,) lies."""
    return [side for side, there in (("below", float(low[0]) < 0), ("above", float(high[0]) > 0)) if there] or ["above"]
