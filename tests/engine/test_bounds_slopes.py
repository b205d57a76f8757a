"""Slopes that follow the margins: sound whatever they are, never worse than where they began, and worth their time."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.bounding import attacked, flow_region, worst_plane
from tests.engine.test_root_certificate import finish, make_problem
from verification.engine.bounds import slopes
from verification.engine.bounds.ball import ball_around
from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.slopes import sharpened
from verification.engine.game import root
from verification.engine.game.root import RootSearch
from verification.engine.network.operations.base import Elementwise
from verification.engine.network.operations.gate import Gate
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.sigmoid import Tanh
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Rounding

FREE = [(Relu(), 1), (Relu(0.2), 1), (Gate(True), 2), (Gate(False), 2)]
#: Network, norm, whether in float64 with rounding accounted for.
CASES = [
    *((network, Norm.LINF, True) for network in ("lstm", "conv2d deep", "pooled convolutions", "residual", "gru")),
    *((network, Norm.L2, True) for network in ("lstm", "pooled convolutions", "residual")),
    ("lstm", Norm.LINF, False),
]


def bounds_around(problem: Problem, radius: float, rigorous: bool = True, room: float = math.inf) -> LinearBounds:
    rounding = Rounding(rigorous)
    region = ball_around(problem.frames, problem.space, problem.norm, radius, rounding)
    with torch.no_grad():
        return LinearBounds(problem.graph_in(rounding.dtype), region, room=room)


def least_margins(problem: Problem, radius: float, space: str = "dense") -> Tensor:
    """(C - 1,): the least of each margin that attacks find."""
    _, points = flow_region(problem.frames, space, problem.norm, radius, Rounding(rigorous=True))
    found = []
    for a in [*attacked(problem.graph, points, problem.label, seed=1, steps=40), *points.draw(60, seed=2)]:
        logits = problem.logits(a).double()
        margins = logits[problem.label] - logits
        found.append(torch.cat([margins[: problem.label], margins[problem.label + 1 :]]))
    return torch.stack(found).amin(0).detach()


def beyond_proof(problem: Problem, rigorous: bool = True) -> tuple[LinearBounds, Tensor]:
    """Bounds over a ball that is too large for them, and their margins."""
    radius = 0.05
    while True:
        bounds = bounds_around(problem, radius, rigorous)
        with torch.no_grad():
            margins = bounds.margins(problem.label)
        if not bool((margins > 0).all()):
            return bounds, margins
        radius *= 1.5


@pytest.mark.parametrize(("operation", "arity"), FREE, ids=str)
@pytest.mark.parametrize("span", [1e-9, 1.0, 8.0, 60.0])
@pytest.mark.parametrize("steep", [0.0, 0.3, 5.0])
def test_planes_hold_with_any_slopes(operation: Elementwise, arity: int, span: float, steep: float) -> None:
    assert worst_plane(operation, arity, span, seed=3, steep=steep) <= 1e-14 * max(span, 1.0)


@pytest.mark.parametrize(("network", "norm", "rigorous"), CASES)
def test_no_attack_goes_below_the_sharpened_margins(network: str, norm: Norm, rigorous: bool) -> None:
    problem = make_problem(network, norm)
    bounds, margins = beyond_proof(problem, rigorous)
    with torch.no_grad():
        better = sharpened(bounds, problem.label, margins)
    assert bool((better >= margins).all())
    assert bool((better.double() <= least_margins(problem, bounds.radius) + 1e-4).all())


@pytest.mark.parametrize("network", ["lstm", "gru"])
def test_gates_gain(network: str) -> None:
    problem = make_problem(network, Norm.LINF)
    bounds, margins = beyond_proof(problem)
    with torch.no_grad():
        assert float((sharpened(bounds, problem.label, margins) - margins).min()) > 0.01


def test_it_ends_as_soon_as_everything_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem("lstm", Norm.LINF)
    bounds = bounds_around(problem, 1e-4)
    steps: list[int] = []
    right = slopes._traced

    def counted(*asked: Any) -> Tensor:
        steps.append(len(steps))
        return right(*asked)

    monkeypatch.setattr(slopes, "_traced", counted)
    with torch.no_grad():
        margins = bounds.margins(problem.label)
        assert bool((margins > 0).all())
        sharpened(bounds, problem.label, margins - 1.0)
    assert len(steps) == 1


def test_bounds_are_left_as_they_were() -> None:
    problem = make_problem("lstm", Norm.LINF)
    bounds, margins = beyond_proof(problem)
    with torch.no_grad():
        sharpened(bounds, problem.label, margins)
        assert torch.equal(bounds.margins(problem.label), margins)


@pytest.mark.parametrize("room", [0.0, 1e3])
def test_without_room_for_gradients_nothing_changes(room: float) -> None:
    problem = make_problem("lstm", Norm.LINF)
    radius = beyond_proof(problem)[0].radius
    bounds = bounds_around(problem, radius, room=room)
    with torch.no_grad():
        margins = bounds.margins(problem.label)
        assert torch.equal(sharpened(bounds, problem.label, margins), margins)


def test_functions_without_free_slopes_are_left_alone() -> None:
    problem = make_problem("batch norm and average", Norm.LINF)
    assert any(isinstance(node.operation, Tanh) for node in problem.graph.nodes)
    bounds, margins = beyond_proof(problem)
    with torch.no_grad():
        assert torch.equal(sharpened(bounds, problem.label, margins), margins)


def test_slopes_that_are_no_numbers_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem("lstm", Norm.LINF)
    bounds, margins = beyond_proof(problem)
    monkeypatch.setattr(slopes, "_RATE", math.inf)
    with torch.no_grad():
        assert torch.equal(sharpened(bounds, problem.label, margins), margins)


def test_the_root_search_proves_more_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem("lstm", Norm.LINF)
    search = RootSearch(problem, limit=None)
    finish(search, upper=None)
    monkeypatch.setattr(root, "sharpened", lambda bounds, label, margins: margins)
    plain = RootSearch(problem, limit=None)
    finish(plain, upper=None)
    assert search.lower > plain.lower * 1.01
    assert bool((least_margins(problem, search.lower) > 0).all())


def test_batches_of_margins_give_the_same_as_all_at_once() -> None:
    problem = make_problem("lstm", Norm.LINF)
    bounds, margins = beyond_proof(problem)
    with torch.no_grad():
        whole = sharpened(bounds, problem.label, margins)
        bounds.memory = 1
        assert len(bounds.margin_batches(problem.label)) > 1
        torch.testing.assert_close(sharpened(bounds, problem.label, margins), whole, rtol=1e-6, atol=1e-6)
