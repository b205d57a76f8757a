"""The root certificate: its radius only grows, and no attack succeeds inside the ball that it proves."""

import itertools
from dataclasses import replace

import pytest
import torch

from tests.engine.bounding import attacked, flow_region, make_frames, make_graph, make_space
from verification.engine.bounds.problem import Problem
from verification.engine.errors import Stopped
from verification.engine.game import root
from verification.engine.game.root import Attempt, RootSearch, attempt, prove
from verification.engine.network.operations.linear import Linear
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Rounding


def make_problem(
    network: str, norm: Norm, space: str = "dense", flows: tuple[int, ...] | None = None, seed: int = 2
) -> Problem:
    graph, frames = make_graph(network, seed), make_frames(seed)
    with torch.no_grad():
        label = int(graph(frames.double().unsqueeze(0)).argmax())
    return Problem(graph, frames, make_space(space, frames, flows), norm, label)


def never() -> None:
    pass


def finish(search: RootSearch, upper: float | None) -> list[float]:
    proven = []
    while not search.finished:
        radius = search.step(upper, never)
        if radius is not None:
            proven.append(radius)
    return proven


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize(
    ("network", "space"),
    [
        *itertools.product(["conv3d", "lstm"], ["dense", "translation", "pixels"]),
        *itertools.product(["conv3d"], ["blocks:2x3", "moving:0.5", "affine"]),
    ],
)
def test_no_attack_succeeds_inside_the_proven_ball(network: str, space: str, norm: Norm) -> None:
    problem = make_problem(network, norm, space)
    search = RootSearch(problem, limit=None)
    proven = finish(search, upper=None)
    assert proven == sorted(proven)
    assert search.lower == proven[-1] > 0
    _, points = flow_region(problem.frames, space, norm, search.lower, Rounding(rigorous=True))
    for a in [*attacked(problem.graph, points, problem.label, seed=1, steps=60), *points.draw(200, seed=2)]:
        with torch.no_grad():
            assert int(problem.logits(a).argmax()) == problem.label


def test_bisection_ends_within_one_percent_of_the_first_failure() -> None:
    search = RootSearch(make_problem("conv3d", Norm.L2), limit=None)
    finish(search, upper=None)
    assert search.lower < search.failed <= search.lower * 1.01
    assert not prove(search.problem, search.failed * 1.001, rigorous=True, check=never)


def test_the_limit_ends_the_search_with_a_proof_of_exactly_the_limit() -> None:
    whole = RootSearch(make_problem("conv3d", Norm.L2), limit=None)
    finish(whole, upper=None)
    limit = whole.lower / 2
    search = RootSearch(whole.problem, limit=limit)
    assert finish(search, upper=None)[-1] == limit


def test_the_upper_bound_is_never_passed() -> None:
    problem = make_problem("conv3d", Norm.LINF)
    search = RootSearch(problem, limit=None)
    assert all(radius <= 0.004 for radius in finish(search, upper=0.004))


def test_goes_on_from_its_state() -> None:
    first = RootSearch(make_problem("conv3d", Norm.L2), limit=None)
    for _ in range(3):
        first.step(None, never)
    second = RootSearch(first.problem, limit=None)
    second.restore(*first.state())
    assert second.lower == first.lower
    assert finish(second, None)[-1] == finish(first, None)[-1]


def test_stopping_in_the_middle_loses_nothing() -> None:
    search = RootSearch(make_problem("lstm", Norm.L2), limit=None)
    search.step(None, never)
    before = search.state()

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        search.step(None, stop)
    assert search.state() == before


def test_a_bound_that_overflows_proves_nothing() -> None:
    assert not prove(make_problem("lstm", Norm.L2), 1e308, rigorous=True, check=never)


def test_a_clip_on_the_decision_boundary_has_radius_zero() -> None:
    problem = make_problem("linear", Norm.L2)
    with torch.no_grad():
        logits = problem.logits_of(problem.frames.double())
    other = int(logits.argsort()[-2])
    *before, head = problem.graph.nodes
    assert isinstance(head.operation, Linear)
    bias = head.operation.bias.clone()
    bias[other] += logits[problem.label] - logits[other]
    tied = replace(head, operation=replace(head.operation, bias=bias))
    problem = replace(problem, graph=replace(problem.graph, nodes=(*before, tied)))
    search = RootSearch(problem, limit=None)
    finish(search, upper=None)
    assert search.lower == 0.0


def test_where_nothing_is_proven_the_levels_between_intervals_and_all_effort_are_tried_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As for a network so large that less than all effort always leaves something out."""
    search = RootSearch(make_problem("linear", Norm.L2), limit=None)
    levels: list[int] = []

    def fails(*_: object) -> Attempt:
        levels.append(search.level)
        return Attempt(proven=0.0, kept=-1.0, complete=search.level == 3)

    monkeypatch.setattr(root, "attempt", fails)
    while not search.finished and len(levels) < 200:
        search.step(None, never)
    assert search.finished
    assert levels.count(1) == levels.count(2) == 1
    assert search.lower == 0.0


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("float32_first", [False, True])
def test_every_level_of_effort_proves_balls_that_no_attack_leaves(
    norm: Norm, float32_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = make_problem("pooled convolutions", norm)
    best = finish(RootSearch(problem, limit=None), upper=None)[-1]
    monkeypatch.setattr(root, "_EFFORTS", ((0, 1.0), (300, 1.0), (5_000, 0.5), (None, 1.0)))
    search = RootSearch(problem, limit=None, float32_first=float32_first)
    levels = []
    while not search.finished:
        levels.append(search.level)
        radius = search.step(None, never)
        if radius is None:
            continue
        _, points = flow_region(problem.frames, "dense", norm, radius, Rounding(rigorous=True))
        for a in [*attacked(problem.graph, points, problem.label, seed=1, steps=20), *points.draw(30, seed=2)]:
            with torch.no_grad():
                assert int(problem.logits(a).argmax()) == problem.label
    assert levels == sorted(levels)
    assert set(levels) == {0, 1, 2, 3}
    assert search.lower > best * 0.97


def test_relaxations_of_a_ball_prove_a_smaller_one() -> None:
    problem = make_problem("linear", Norm.L2)
    search = RootSearch(problem, limit=None)
    finish(search, upper=None)
    result = attempt(problem, search.lower * 1.3, rigorous=True, check=never)
    assert search.lower * 0.85 < result.proven <= search.lower * 1.01
    assert result.kept < 0
    assert result.complete
