"""The ball and the cells take turns, and the better of what they prove counts."""

import math
from collections.abc import Callable

import pytest

from tests.engine.questions import make_specification
from verification.engine import Budget, LowerMethod, Specification, verify
from verification.engine.bounds.problem import Problem
from verification.engine.game.cells import CellSearch
from verification.engine.game.play import Play, build_proof
from verification.engine.game.root import RootSearch


def _problem(**fields: object) -> tuple[Problem, Specification]:
    specification = make_specification(1, **fields)
    return Problem.build(specification), specification


def _nothing() -> None:
    """Never asks to stop."""


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"space": "translation"}, Play),
        ({"space": "blocks:2x2", "flows": (1,)}, Play),
        ({"space": "blocks:3x3"}, RootSearch),
        ({"space": "dense"}, RootSearch),
        ({"space": "pixels"}, RootSearch),
        ({"space": "translation", "lower_method": LowerMethod.ROOT}, RootSearch),
    ],
)
def test_cells_are_played_where_dimensions_are_few(fields: dict[str, object], kind: type) -> None:
    problem, specification = _problem(**fields)
    assert type(build_proof(specification, problem)) is kind


def test_without_room_for_a_cell_the_ball_is_all() -> None:
    problem, specification = _problem(space="translation")
    assert type(build_proof(specification, problem, room=1000.0)) is RootSearch


def test_what_the_ball_has_proven_is_spared_the_cells() -> None:
    problem, specification = _problem(space="translation", flows=(1,))
    proof = build_proof(specification, problem)
    assert isinstance(proof, Play)
    assert proof.root is not None
    while not proof.root.lower:
        proof.root.step(None, _nothing)
    while not proof.cells.lower > proof.root.lower:
        proof.step(None, _nothing)
    estimates = proof.cells.frontier.tensors()["estimate"]
    assert proof.cells.floor == proof.root.lower
    assert float(estimates[estimates > 0].min()) >= proof.cells.floor
    assert proof.lower == proof.cells.lower


def test_cells_prove_more_than_the_ball_in_the_same_rounds() -> None:
    asked = {"space": "translation", "flows": (1,), "budget": Budget(600, rounds=40)}
    with_cells, alone = (
        verify(make_specification(1, **asked, lower_method=method)) for method in (LowerMethod.CELLS, LowerMethod.ROOT)
    )
    assert with_cells.lower > alone.lower > 0
    assert with_cells.game is not None
    assert with_cells.game.certified > 0
    assert alone.game is None


@pytest.mark.parametrize(
    ("flows", "failed", "cells", "turns"),
    [
        ((1,), math.inf, 1.2, 2),  # few dimensions: one turn of four
        ((1,), math.inf, 2.0, 0),  # and none where the cells have proven much more
        ((1, 2, 3), 3.0, 0.5, 4),
        ((1, 2, 3), 3.0, 2.0, 0),
        ((1, 2, 3), math.inf, 2.0, 4),  # the ball still grows
    ],
)
def test_the_ball_has_its_turns_until_the_cells_have_proven_much_more(
    flows: tuple[int, ...], failed: float, cells: float, turns: int
) -> None:
    problem, specification = _problem(space="translation", flows=flows)
    proof = build_proof(specification, problem)
    assert isinstance(proof, Play)
    assert proof.root is not None
    taken = {"root": 0, "cells": 0}
    for name, part in (("root", proof.root), ("cells", proof.cells)):
        _counted(part, taken, name)
    proof.root.lower, proof.root.level, proof.root.failed, proof.cells.lower = 1.0, 1, failed, cells
    for _ in range(8):
        proof.step(None, _nothing)
    assert taken == {"root": turns, "cells": 8 - turns}


def _counted(part: RootSearch | CellSearch, taken: dict[str, int], name: str) -> None:
    """Count the turns instead of taking them."""

    def step(upper: float | None, check: Callable[[], None]) -> None:
        taken[name] += 1

    part.step = step  # type: ignore[method-assign]
