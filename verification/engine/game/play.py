"""The whole game: the root's ball and the cells take turns, and the better of their bounds counts.

Cells are far better where dimensions are few. The ball proves something in any number of them, and what it proves spares the
cells the nearest part of their work. Natural distortions have cells only.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.game.cells import MOST_DIMENSIONS, CellSearch
from verification.engine.game.grid import GridSearch
from verification.engine.game.proof import Proof
from verification.engine.game.root import RootSearch
from verification.engine.perturbation import Distortion, FlowSpace
from verification.engine.result import GamePicture, Turn
from verification.engine.specification import LowerMethod, Specification

_MANY = 8  # dimensions; in more, cells have to wait until the ball has proven what it can
_FEW = 4  # in more, the ball has every other turn; with so few dimensions the cells will soon have proven more
_TURNS = 4  # and it has one of so many
_BEHIND = 1.5  # by what factor the cells must have proven more for the ball to be given up


def build_proof(specification: Specification, problem: Problem, room: float = math.inf) -> Proof:
    """What proves the lower bound of `problem`, as `specification` asks for it. `room`: bytes for relaxations."""
    if specification.lower_method is LowerMethod.GRID:
        return GridSearch(problem, specification.radius, specification.tau, room)
    if isinstance(problem.space, Distortion):
        return Play(None, CellSearch(problem, specification.radius, room, at_once=specification.query))
    root = RootSearch(problem, specification.radius, room=room)
    few = isinstance(problem.space, FlowSpace) and problem.space.dimensions <= MOST_DIMENSIONS
    if specification.lower_method is LowerMethod.CELLS and few:
        cells = CellSearch(problem, specification.radius, room, at_once=specification.query)
        if cells.margins.fits:
            return Play(root, cells)
    return root


class Play:
    """The game over `cells` that begins with `root`, where there is one: a `Proof`."""

    def __init__(self, root: RootSearch | None, cells: CellSearch) -> None:
        self.root, self.cells = root, cells
        self.taken = 0  #: turns of the ball and the cells
        self.lower = 0.0
        self.finished = False

    def step(self, upper: float | None, check: Callable[[], None]) -> float | None:
        """See `Proof`."""
        before = self.lower
        (self.root if self.root is not None and self._root_is_due(self.root) else self.cells).step(upper, check)
        self.taken += 1
        self._compare()
        return self.lower if self.lower > before else None

    def _compare(self) -> None:
        self.cells.floor = self.root.lower if self.root is not None else 0.0
        self.lower = max(self.cells.floor, self.cells.lower)
        self.finished = self.cells.finished

    def _root_is_due(self, root: RootSearch) -> bool:
        if root.finished or self._outdone(root):
            return False
        dimensions = self.cells.space.dimensions
        return dimensions > _MANY or self.taken % (2 if dimensions > _FEW else _TURNS) == 0

    def _outdone(self, root: RootSearch) -> bool:
        """Whether the ball is given up; in more than a few dimensions not before linear bounds have met their first failure.

        Until then it grows by leaps from where intervals have left it, and what it has proven says little.
        """
        grown = root.level > 0 and math.isfinite(root.failed)
        few = self.cells.space.dimensions <= _FEW
        return (few or grown) and self.cells.lower > _BEHIND * root.lower

    def picture(self) -> GamePicture:
        """See `Proof`."""
        return self.cells.picture()

    def turns(self) -> Iterator[Turn]:
        """See `Proof`."""
        space = self.cells.space
        for move in self.cells.frontier.moves():
            flow = space.flow_of(move.dimension) if isinstance(space, FlowSpace) else None
            yield Turn(flow, move.dimension, None, move.place, move.cell, move.estimate, move.open)

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """See `Proof`."""
        root = None if self.root is None else self.root.state()[0]
        cells, tensors = self.cells.state()
        return {"root": root, "cells": cells, "taken": self.taken}, tensors

    def restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """See `Proof`."""
        if self.root is not None:
            self.root.restore(state["root"], {})
        self.cells.restore(state["cells"], tensors)
        self.taken = int(state["taken"])
        self._compare()
