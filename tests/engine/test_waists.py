"""Bounds of distortions of networks whose beginning is too large: neurons are pulled back to a waist only."""

import pytest
import torch

from tests.engine.questions import make_specification
from verification.engine.bounds import enclosed
from verification.engine.bounds.cell_margins import CellMargins
from verification.engine.bounds.dependence import waists_of
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.stem import Stem


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no value could be pulled back to the anchors."""
    monkeypatch.setattr(enclosed, "_MOST", 0)


def problem_of(space: str) -> Problem:
    return Problem.build(make_specification(1, space=space))


def test_every_path_to_a_value_goes_through_its_waists() -> None:
    problem = problem_of("brightness")
    graph, stem = problem.graph, Stem.of(problem.graph)
    waists = waists_of(graph, stem.anchors)
    for value, found in enumerate(waists):
        for waist in found:
            reached = set(stem.anchors)
            for number, node in enumerate(graph.nodes, start=1):
                if number != waist and reached.intersection(node.inputs):
                    reached.add(number)
            assert value not in reached
    assert any(waists)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("space", ["brightness", "gamma", "rotation", "brightness+contrast"])
def test_no_margin_within_a_cell_is_below_its_bound(space: str) -> None:
    problem = problem_of(space)
    margins = CellMargins(problem)
    assert margins.large
    others = [c for c in range(problem.graph.output_shape[1]) if c != problem.label]
    least, most = problem.space.domain()
    generator = torch.Generator().manual_seed(2)
    for width in (0.1, 0.02, 0.003):
        low = torch.rand(len(least), generator=generator, dtype=torch.float64) * (most - least) / 10
        high = low + width * (most - least) / 2
        (bound,) = margins(low[None], high[None], True, lambda: None)
        assert bound is not None
        for _ in range(60):
            point = low + torch.rand(len(low), generator=generator, dtype=torch.float64) * (high - low)
            logits = problem.logits(point)
            line = bound.constants + bound.slopes @ ((point - bound.centre) / bound.half)
            assert bool((logits[problem.label] - logits[others] >= line - 1e-12).all())


@pytest.mark.usefixtures("large")
def test_pulling_back_to_a_waist_is_tighter_than_enclosures_alone() -> None:
    margins = CellMargins(problem_of("gamma"))
    low, high = (torch.tensor([[end]], dtype=torch.float64) for end in (0.2, 0.5))
    least = []
    for refined in (False, True):
        (bound,) = margins(low, high, refined, lambda: None)
        assert bound is not None
        least.append(float((bound.constants - bound.slopes.abs().sum(1)).min()))
    assert least[1] > least[0]


def test_small_networks_are_bounded_without() -> None:
    assert not CellMargins(problem_of("brightness")).large
