"""The paper's own game: Admissible A* over a grid (Algorithm 1; engine contract, section 10; docs/bounds.md, "Grid").

A state is a tau-grid point. Player I chooses a flow, Player II a dimension in it and an atomic manipulation, +tau or -tau. They
cooperate to reach the nearest adversarial point: its distance is the finite maximum safe radius (FMSR; Def. 6, Theorem 2).

What a grid says of all real-valued flows rests on Lipschitz constants. A point whose margins are too large to be lost within its
cell is resolved: by a certified constant, nothing in the cell is adversarial. For the lower bound every other point counts as
adversarial.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from verification.engine.bounds.lipschitz import flow_constants
from verification.engine.bounds.point_margins import PointMargins
from verification.engine.bounds.problem import Problem
from verification.engine.errors import UnsupportedOperationError
from verification.engine.game.lattice import Lattice
from verification.engine.game.root import first_order_radius
from verification.engine.game.tree import POINT, Step, Tree
from verification.engine.perturbation import FlowSpace
from verification.engine.relaxation import Interval
from verification.engine.result import GridPicture, Guarantee, Turn

_AT_ONCE = 16  # points that are taken from the open list together
_MOST_POINTS = 1 << 24  # of one grid, where there is room for more
_BEYOND = 1 + 1e-9  # distances count as a little longer than they are, so that rounding leaves no gap
_FAST, _SLOW, _FINE = (
    2.0,
    1.25,
    1.05,
)  # growth of the ball whose constants are asked for: at first, and where it is large
_FASTEST = 16.0  # where tau is derived
_START = 4096.0  # where tau is derived, the first ball is this much smaller than the first-order estimate
_SMALLER, _LEAST_SHARE = (
    64.0,
    0.25,
)  # where even that has no constants; and by how much at most a ball shrinks with a finer grid
_WIDEST = 0.35  # a derived grid's cells have at most this share of the ball's radius as their diameter
_SMALLEST, _LARGEST = 1e-9, 1e12  # a derived tau or ball, and a ball

#: What a search consists of besides its points.
_NUMBERS = (
    *(
        "lower",
        "fmsr",
        "unresolved",
        "_conditional",
        "_adversarial",
        "_adversarial_cell",
        "_unresolved_cell",
        "_horizon",
    ),
    *("_radius", "_widest", "_growth", "_first", "_halvings", "_earlier"),
)


@dataclass(frozen=True)
class SafeRadius:
    """What the grid says of the maximum safe radius (MSR), after the correction for what lies between its points.

    `certified`: proven for every real-valued perturbation. `conditional`: holds if no cell of a point that keeps the class has
    an adversarial example in it, as Theorem 1 supposes; never less than its `FMSR - d~ / 2`. The same where tau was derived.
    """

    certified: float
    conditional: float


class GridSearch:
    """Anytime search for the lower bound on grids. `lower` is always proven; `step` visits some points of least estimate.

    `limit`: no radius above it is of interest (None: any). `tau`: the length of an atomic manipulation, in the coordinates' unit;
    None: derived from certified constants by Eq. 5, and halved where a grid leaves points unresolved. `room`: bytes for
    relaxations, and for the points.
    `fmsr`: the value of the finite problem so far: no adversarial point of the present grid is nearer. `found`: the coordinates
    of the nearest adversarial point, of any grid. `unresolved`: points of the present grid that keep the class, but of which it
    was not shown that all of their cell does (nor tried, where a nearer cell is lost). `full`: the search ended because no more
    points find room.
    """

    def __init__(self, problem: Problem, limit: float | None, tau: float | None = None, room: float = math.inf) -> None:
        assert isinstance(problem.space, FlowSpace)
        assert tau is None or 0 < tau < math.inf
        self.problem, self.space, self.limit, self.room = problem, problem.space, limit, room
        self.derived = tau is None
        self.lower, self.fmsr, self._conditional = 0.0, 0.0, 0.0
        self.finished = self.full = False
        self.found: Tensor | None = None
        self._constants: Tensor | None = None
        #: The ball that the constants are of, the largest that has any, how it grows, and the first one where tau is derived.
        self._radius, self._widest, self._growth, self._first = 0.0, math.inf, _FAST, 0.0
        self._halvings = self._earlier = 0
        self._start(None if tau is None else Lattice(self.space, problem.norm, tau))

    def _start(self, lattice: Lattice | None) -> None:
        """Begin a grid."""
        self.lattice, self.tree, self.unresolved = lattice, Tree(self.space.dimensions), 0
        #: The distance of the nearest adversarial point, that of the nearest cell of one, and of one not resolved otherwise.
        self._adversarial = self._adversarial_cell = self._unresolved_cell = math.inf
        #: Of some cells only what lies within this distance has been resolved.
        self._horizon = math.inf

    @property
    def tau(self) -> float | None:
        """The length of a step; None before one is derived."""
        return None if self.lattice is None else self.lattice.tau

    @property
    def visited(self) -> int:
        """How many points have been evaluated, of all grids."""
        return self._earlier + self.tree.visits

    @property
    def msr(self) -> SafeRadius:
        """What follows for all real-valued perturbations."""
        return SafeRadius(self.lower, self.lower if self.derived else max(self._conditional, self.lower))

    @property
    def guarantee(self) -> Guarantee:
        """What `msr.conditional` is worth; `lower` is a proof in any case."""
        covered = self.derived or self._conditional <= self.lower
        return Guarantee.SOUND if covered else Guarantee.CONDITIONAL

    def picture(self) -> GridPicture:
        """What there is to see of the grid."""
        return GridPicture(
            self.tau, self.fmsr, self.lower, self.msr.conditional, self.guarantee, self.visited, self.unresolved
        )

    def moves(self, first: int = 0) -> list[Step]:
        """The players' choices in the present grid, visit by visit, from number `first` on. Flows: `FlowSpace.flow_of`."""
        return list(self.tree.moves(first))

    def turns(self) -> Iterator[Turn]:
        """The same, as all games tell it."""
        for step in self.tree.moves():
            if step.dimension is not None and step.parent is not None:
                flow = self.space.flow_of(step.dimension)
                yield Turn(flow, step.dimension, step.theta, None, step.parent, step.estimate, step.open)

    def step(self, upper: float | None, check: Callable[[], None]) -> float | None:
        """Visit points. Returns what is proven if that is more than before; otherwise None.

        `upper`: the distance of the best adversarial example, above which nothing can be proven. Raises UnsupportedOperationError
        where a tau is to be derived and an operation of the network has no derivatives.
        """
        ceiling = min(self.limit or math.inf, upper if upper is not None else math.inf, self.problem.farthest)
        if self.derived and self.found is not None:
            ceiling = min(ceiling, self.problem.norm_of(self.found))
        before = self.lower
        if not self.finished and self.derived and not len(self._wanted(ceiling)):
            self._refine(ceiling, check)
        if not self.finished and self.lattice is not None:
            self._visit(self.lattice, ceiling, check)
            self._conclude(ceiling)
        return self.lower if self.lower > before else None

    def _wanted(self, ceiling: float) -> Tensor:
        """The points to go on with: those that may still tell something about the grid's radius, or about all perturbations."""
        if self.lattice is None:
            return torch.zeros(0, dtype=torch.int64)
        if self.derived:
            # A point that is not resolved ends the grid: a finer one tells more.
            return self.tree.wanted(_AT_ONCE, -math.inf, min(self._lost, self._target(self.lattice, ceiling)))
        distance = min(self._adversarial, math.nextafter(ceiling, math.inf))
        return self.tree.wanted(_AT_ONCE, distance, min(self._adversarial_cell, ceiling))

    @property
    def _lost(self) -> float:
        """The nearest cell that may have an adversarial example in it, of those whose points were visited."""
        return min(self._adversarial_cell, self._unresolved_cell)

    def _target(self, lattice: Lattice, ceiling: float) -> float:
        """How far a derived grid goes: the points of cells nearer than this are within the ball of the constants."""
        return min(ceiling, (self._radius - lattice.width / 2) / _BEYOND**2)

    def _visit(self, lattice: Lattice, ceiling: float, check: Callable[[], None]) -> None:
        """Look at points of least estimate, and open the children of those that have been looked at."""
        fresh = torch.zeros(0, dtype=torch.int64)
        while not len(fresh) and len(wanted := self._wanted(ceiling)):
            seen = self.tree.is_visited(wanted)
            for point in wanted[seen].tolist():
                self._open_children(lattice, point)
                if self.full:
                    return
            fresh = wanted[~seen]
        for point, steps in zip(fresh.tolist(), self.tree.steps(fresh), strict=True):
            check()
            self._look_at(lattice, point, steps, ceiling, check)

    def _open_children(self, lattice: Lattice, point: int) -> None:
        """Go on from a point, if there is room."""
        dimensions, _ = self.tree.moves_from(point)
        self.full = self.tree.count + len(dimensions) > min(_MOST_POINTS, self.room / POINT)
        if not self.full:
            (steps,) = self.tree.steps(torch.tensor([point]))
            self.tree.expand(point, *lattice.after(steps, dimensions))

    def _look_at(self, lattice: Lattice, point: int, steps: Tensor, ceiling: float, check: Callable[[], None]) -> None:
        """Evaluate a point, and count it as what it is: adversarial, resolved, or neither."""
        distance, nearest = self.tree.distance_of(point), self.tree.nearest_of(point)
        half = float(lattice.half(steps.unsqueeze(0)))
        a = lattice.coordinates(steps).to(self.problem.frames.device)
        # Where a cell as near is lost already, a proof is not worth its price.
        margins = self._margins(a).lower if nearest < min(self._lost, ceiling) else None
        keeps = margins is not None and bool((margins > 0).all())
        if not keeps and bool((self._margins.values(a) < 0).any()):
            self._adversarial = min(self._adversarial, distance)
            self._adversarial_cell = min(self._adversarial_cell, nearest)
            if self.found is None or distance < self.problem.norm_of(self.found):
                self.found = a.view(self.space.shape)
            self.tree.visit(point, math.inf, math.inf)
            return
        if margins is None or not keeps or not self._resolves(margins, distance * _BEYOND, half, ceiling, check):
            self.unresolved += 1
            self._unresolved_cell = min(self._unresolved_cell, nearest)
        elif distance * _BEYOND + half > self._radius:
            self._horizon = min(self._horizon, self._radius)
        dimensions, _ = self.tree.moves_from(point)
        distances, cells = lattice.after(steps, dimensions)
        # The heuristic: from a point that keeps the class to an adversarial one it takes one manipulation or more. The least that
        # one costs is admissible; it is never more than the paper's d~, the width of a cell.
        self.tree.visit(point, float(distances.amin()), float(cells.amin()))

    def _resolves(
        self, margins: Tensor, distance: float, half: float, ceiling: float, check: Callable[[], None]
    ) -> bool:
        """Whether none of the proven `margins` of a point can be lost in its cell, as far as the ball of the constants reaches.

        With a tau given by hand it has to reach over all of the cell, or what lies within the ceiling, and grows for it.
        """
        needed = distance if self.derived else max(distance, min(distance + half, ceiling * _BEYOND))
        if needed > self._radius and not self.derived:
            self._ask(max(needed, min(self._radius * self._growth, ceiling + half)), check)
        if needed > self._radius or self._lasts(margins, half):
            return needed <= self._radius
        if self.derived or needed * _FINE >= self._radius:
            return False
        # Constants grow with the ball: perhaps this one is too large.
        self._ask(needed, check)
        self._growth = _FINE
        return self._lasts(margins, half)

    def _lasts(self, margins: Tensor, half: float) -> bool:
        """Whether margins (C - 1,) of a point are more than what they can lose within the ball on a way as long as `half`."""
        return self._constants is not None and bool((margins > self._constants * (half * _BEYOND)).all())

    def _ask(self, radius: float, check: Callable[[], None]) -> None:
        """Certify constants for the ball of `radius`; without derivatives, there are none."""
        try:
            constants = flow_constants(self.problem, radius, check, self.room)
        except UnsupportedOperationError:
            constants = torch.full_like(self._at_clip.lower, torch.inf)
        self._constants, self._radius = constants, radius

    def _conclude(self, ceiling: float) -> None:
        """What follows from the points that have been visited."""
        cells = min(self.tree.nearest, self._adversarial_cell, ceiling)
        self.lower = max(self.lower, min(cells, self._unresolved_cell, self._horizon))
        self._conditional = cells
        self.fmsr = min(self.tree.least, self._adversarial)
        done = not self.derived and not len(self._wanted(ceiling))
        self.finished = self.full or done or (self.derived and self.lower >= ceiling)

    def _refine(self, ceiling: float, check: Callable[[], None]) -> None:
        """Begin a grid with a derived tau: a finer one where the last has lost a cell, otherwise one in a larger ball."""
        most = min(ceiling * _SLOW, self._widest, _LARGEST)
        lattice = self.lattice
        if lattice is None or (self._lost >= self._target(lattice, ceiling) and self._radius < most):
            tau = self._in_larger_ball(most, check)
        else:
            tau = lattice.tau / 2
            if self._lost < math.inf:
                most = min(most, max(_SLOW * self._lost + lattice.width / 4, self._radius * _LEAST_SHARE))
            if self._radius > most * _FINE:
                self._ask(most, check)
            self._halvings += 1
        if tau is not None:
            self.finished = tau < _SMALLEST or self._radius >= _LARGEST
            if not self.finished:
                self._earlier += self.tree.visits
                self._start(Lattice(self.space, self.problem.norm, tau))

    def _in_larger_ball(self, most: float, check: Callable[[], None]) -> float | None:
        """The tau of Eq. 5 in a ball that is larger, but not larger than `most`: `d~ <= min_c m_c(0) / L_c`; None if it has none.

        Halved as often as grids had to be before.
        """
        if not self._first:
            first = first_order_radius(self.problem) / _START
            self._first = min(max(first, _SMALLEST), most) if math.isfinite(first) else min(1.0, most)
        radius = min(self._radius * self._growth, most) if self._radius else self._first
        constants = flow_constants(self.problem, radius, check, self.room)
        reach = float((self._at_clip.lower.clamp(min=0) / constants).amin())
        if not reach > 0:
            self._give_way()
            return None
        self._constants, self._radius = constants, radius
        # Constants grow with the ball: where `reach` falls below its radius, cells become small.
        self._growth = min(max(math.sqrt(reach / radius), _SLOW), _FASTEST)
        width = Lattice(self.space, self.problem.norm, 1.0).width
        return min(reach, radius * _WIDEST) / width * (1 - _SMALLEST) / 2**self._halvings

    def _give_way(self) -> None:
        """A ball has no constants: a smaller one is next, or else the last one is the largest of all."""
        if not self._radius:
            self._first /= _SMALLER
            self.finished = self._first < _SMALLEST
        elif self._growth > _SLOW:
            self._growth = max(math.sqrt(self._growth), _SLOW)
        else:
            self._widest = self._radius

    @cached_property
    def _margins(self) -> PointMargins:
        return PointMargins(self.problem)

    @cached_property
    def _at_clip(self) -> Interval:
        return self._margins(torch.zeros(self.space.dimensions, dtype=torch.float64, device=self.problem.frames.device))

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What `restore` needs: JSON-able (infinity as None), and tensors."""
        numbers = {name: None if math.isinf(getattr(self, name)) else getattr(self, name) for name in _NUMBERS}
        tensors = self.tree.tensors()
        for name, tensor in (("constants", self._constants), ("found", self.found)):
            if tensor is not None:
                tensors[name] = tensor.cpu().clone()
        return numbers | {"tau": self.tau, "finished": self.finished, "full": self.full}, tensors

    def restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        device = self.problem.frames.device
        tau = state["tau"]
        self._start(None if tau is None else Lattice(self.space, self.problem.norm, float(tau)))
        for name in _NUMBERS:
            setattr(self, name, math.inf if state[name] is None else state[name])
        self.finished, self.full = bool(state["finished"]), bool(state["full"])
        self.tree = Tree.restore(tensors, self.space.dimensions)
        self._constants, self.found = (
            tensors[name].to(device) if name in tensors else None for name in ("constants", "found")
        )
