"""Deliberately wrong rules for natural distortions must be noticed by the referees of their tests.

Mutations, one a test case:
  knots-left    beside a chord the values at both ends alone count, not where the function bends
  peeled        with a proven interval of one parameter all that lies beyond it is closed as well
  grey-most     of two senses the one in which the clip changes more tells what is proven in grey levels
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.engine.questions import make_specification
from verification.engine.bounds.problem import Problem
from verification.engine.game.cells import CellSearch
from verification.engine.network.operations.clamp import Clamp
from verification.engine.network.operations.piecewise import Piecewise
from verification.engine.perturbation import Distortion, build_space
from verification.engine.perturbation.distortions import base
from verification.engine.relaxation import Interval, Rounding

Patch = pytest.MonkeyPatch
_RADIUS = 0.3


def chord_excess() -> float:
    """By how much a clamp leaves the planes beside its chord, at worst."""
    box = Interval(torch.tensor([-0.5, 0.5, -1.0]).double(), torch.tensor([0.5, 1.5, 2.0]).double())
    clamp = Clamp(0.0, 1.0)
    slope, low, high = clamp._beside_chord(box, Rounding(rigorous=True))
    points = box.lower + torch.linspace(0, 1, 101, dtype=torch.float64).unsqueeze(1) * (box.upper - box.lower)
    height = clamp.concrete(points) - slope * points
    return float(torch.maximum(low - height, height - high).amax())


def grey_excess() -> float:
    """By how much what is proven in grey levels is above the nearest clip just beyond the radius, which is not proven."""
    frames = torch.full((2, 3, 4, 4), 0.9, dtype=torch.float64)  # raised values soon end in white
    space = build_space("brightness", 2, 4, 4)
    assert isinstance(space, Distortion)
    proven = space.proven_change(frames, _RADIUS)
    assert proven is not None
    beyond = [torch.tensor([sense * _RADIUS], dtype=torch.float64) for sense in (-1.0, 1.0)]
    return proven - min(float(space.change(frames, at).norm()) for at in beyond)


def peel_excess() -> float:
    """By how much the cells prove more than the nearest brightness that a scan finds to change the class."""
    problem = Problem.build(make_specification(1, space="brightness"))
    scanned = torch.linspace(-1, 1, 801, dtype=torch.float64)
    nearest = min(abs(float(p)) for p in scanned if int(problem.logits(p[None]).argmax()) != problem.label)
    search = CellSearch(problem, None)
    for _ in range(14):
        if not search.finished and search.lower <= nearest:
            search.step(None, lambda: None)
    return search.lower - nearest


def knots_left(patch: Patch) -> None:
    def wrong(self: Piecewise, box: Interval, slope: torch.Tensor, rounding: Rounding, sign: int) -> torch.Tensor:
        ends = [sign * (self.concrete(end) - slope * end) for end in (box.lower, box.upper)]
        return torch.maximum(*ends)

    patch.setattr(Piecewise, "_highest", wrong)


def peeled(patch: Patch) -> None:
    def everything(self: CellSearch, part: Any, horizon: float) -> None:
        self.frontier.put(part.cell, math.inf, None)

    patch.setattr(CellSearch, "_peel", everything)


def grey_most(patch: Patch) -> None:
    patch.setattr(base, "min", max, raising=False)


@pytest.mark.parametrize(
    ("mutation", "excess"),
    [(knots_left, chord_excess), (peeled, peel_excess), (grey_most, grey_excess)],
    ids=["knots-left", "peeled", "grey-most"],
)
def test_a_wrong_rule_is_noticed(
    monkeypatch: Patch, mutation: Callable[[Patch], None], excess: Callable[[], float]
) -> None:
    assert excess() <= 0
    mutation(monkeypatch)
    assert excess() > 1e-3
