"""Certificates of whole balls: no perturbation inside does worse than the checker's bound; nothing else would be a proof."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.engine.ball_referee import (
    CLIP,
    NETWORKS,
    Layers,
    far_affine_excess,
    label_of,
    make_frames,
    make_graph,
    margin_of,
    points_of,
    proven_margin,
    unchecked,
    worst_excess,
    worst_functional,
)
from tests.engine.bounding import attacked, make_space
from tests.engine.test_architecture_bounds import SMALL
from verification.engine import Classifier, Clip, Norm, Specification
from verification.engine.bounds.problem import Problem
from verification.engine.certificate import Certificate, CertificateError, Outcome, Verdict, certify, check, check_form
from verification.engine.certificate.ball_checker import BallChecker
from verification.engine.certificate.cover import Split
from verification.engine.certificate.document import Method
from verification.engine.certificate.reached import reached
from verification.engine.errors import UnsupportedOperationError
from verification.engine.network import ARCHITECTURES, InputSpecification
from verification.engine.network.export import export_graph
from verification.engine.network.graph import Graph
from verification.engine.network.operations.linear import Linear
from verification.engine.perturbation import FlowSpace

ROUNDED = 1e-12  # what the tests' own sums may be off

#: Space, norm, radius, flows.
BALLS: list[tuple[str, Norm, float, tuple[int, ...] | None]] = [
    ("dense", Norm.L2, 0.3, None),
    ("dense", Norm.LINF, 0.1, (2,)),
    ("moving:0.5", Norm.L2, 0.5, None),
    ("moving:0.5", Norm.L1, 1.5, (1,)),
    ("blocks:2x2", Norm.L1, 2.0, (2,)),
    ("blocks:1x2", Norm.L2, 0.7, None),
    ("translation", Norm.LINF, 0.1, None),
    ("affine", Norm.L2, 0.8, None),
    ("pixels", Norm.L1, 0.7, None),
    ("pixels", Norm.L2, 0.2, None),
    ("pixels", Norm.LINF, 0.03, None),
]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("name", [*NETWORKS, "broadcast"])
def test_no_perturbation_of_the_ball_does_worse_than_the_bound(name: str, number: int) -> None:
    for kind, norm, radius, flows in BALLS[number::3]:
        size = 5.0 if number % 2 else 1.0
        assert worst_excess(name, kind, norm, size * radius, flows, seed=number + 1, count=4) <= ROUNDED


@pytest.mark.parametrize("name", SMALL)
def test_every_named_architecture_has_a_bound_that_holds(name: str) -> None:
    torch.manual_seed(1)
    network = ARCHITECTURES[name].build(SMALL[name], frames=4, height=8, width=10, classes=3).eval()
    graph = export_graph(network, (1, 4, 3, 8, 10)).cast(torch.float64, torch.device("cpu"))
    frames = make_frames(3, (4, 3, 8, 10))
    label = label_of(graph, frames)
    checker = BallChecker(graph, frames, make_space("dense", frames, (2,)), Norm.L2, label)
    bound, points = checker.margin(0.5, unchecked), points_of(frames, "dense", Norm.L2, 0.5, (2,))
    assert -math.inf < bound
    for a in [*points.draw(9, seed=1), *attacked(graph, points, label, seed=1)]:
        assert margin_of(graph(points.clip_of(a).unsqueeze(0)), label) >= bound


@pytest.mark.parametrize("radius", [0.02, 0.4, 3.0, 12.0])
@pytest.mark.parametrize("kind", ["dense", "moving:0.5", "blocks:2x1", "translation", "affine", "pixels"])
def test_no_functional_of_the_clip_falls_below_its_bound(kind: str, radius: float) -> None:
    for norm in Norm if kind != "affine" else [Norm.L2]:
        for height, width in ((5, 9), (2, 3)):
            frames = make_frames(height, (4, 3, height, width))
            for flows in (None,) if kind == "pixels" else (None, (2,), (1, 3)):
                assert worst_functional(frames, kind, norm, radius, flows, seed=1) <= ROUNDED


def test_far_beyond_a_tiny_frame_pixels_stand_still_while_an_affine_field_goes_on() -> None:
    assert far_affine_excess() <= ROUNDED


@pytest.mark.parametrize("name", NETWORKS)
def test_small_balls_lose_hardly_anything(name: str) -> None:
    graph, frames = make_graph(name), make_frames(1)
    true = margin_of(graph(frames.unsqueeze(0)), label_of(graph, frames))
    for kind, norm, _, flows in (BALLS[0], BALLS[4], BALLS[9]):
        assert true - 1e-5 < proven_margin(name, kind, norm, 1e-8, flows) <= true


@pytest.mark.parametrize("norm", list(Norm))
def test_for_a_linear_network_and_pixels_the_bound_is_that_of_hoelder(norm: Norm) -> None:
    graph = make_graph("linear")
    frames = 0.3 + 0.4 * make_frames(1)
    logits, label = graph(frames.unsqueeze(0))[0], label_of(graph, frames)
    last = graph.nodes[-1].operation
    assert isinstance(last, Linear)
    checker = BallChecker(graph, frames, make_space("pixels", frames), norm, label)
    for radius in (1e-3, 0.1, 0.2):
        known = [
            float(logits[label] - logits[c] - radius * norm.dual.of(last.weight[:, label] - last.weight[:, c]))
            for c in range(3)
            if c != label
        ]
        assert 0 <= min(known) - checker.margin(radius, unchecked) < 1e-9


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("kind", ["dense", "translation"])
def test_on_a_slope_as_straight_as_a_ramp_the_bound_is_exact(kind: str, norm: Norm) -> None:
    """Inside of the picture a displacement changes each pixel by the slope times itself, and Hoelder tells the rest."""
    y, x = torch.arange(9, dtype=torch.float64).view(9, 1), torch.arange(11, dtype=torch.float64)
    frames = (0.1 + 0.03 * x + 0.05 * y).expand(3, 3, 9, 11).clone()
    weights = torch.zeros_like(frames)
    weights[:, :, 3:6, 3:8] = torch.randn((3, 3, 3, 5), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    space = make_space(kind, frames, (2,))
    assert isinstance(space, FlowSpace)
    rates = weights[2].sum(0) * torch.tensor([0.03, 0.05], dtype=torch.float64).view(2, 1, 1)
    if kind == "translation":
        rates = rates.sum((1, 2)) * space.stride(norm)
    radius = 1.5 / space.stride(norm)
    known = float((weights * frames).sum() - radius * norm.dual.of(rates))
    assert known == pytest.approx(float(reached(frames, space, norm, radius).least(weights[None, None])), abs=1e-8)


def test_a_transposed_convolution_is_pulled_back_by_its_own_transpose() -> None:
    """With as many channels before as after it nothing but the numbers tells it from a convolution."""
    torch.manual_seed(0)
    for turned in (
        nn.ConvTranspose2d(3, 3, 2),
        nn.ConvTranspose2d(3, 3, 2, stride=2),
        nn.ConvTranspose2d(3, 3, 3, padding=1),
        nn.ConvTranspose2d(3, 3, 2, stride=2, padding=1, output_padding=1),
    ):
        network = Layers(turned, nn.ReLU())
        graph = export_graph(network.eval(), CLIP).cast(torch.float64, torch.device("cpu"))
        frames = make_frames(1)
        label = label_of(graph, frames)
        checker = BallChecker(graph, frames, make_space("pixels", frames), Norm.L2, label)
        true = margin_of(graph(frames.unsqueeze(0)), label)
        assert true - 1e-4 < checker.margin(1e-7, unchecked) <= true


@pytest.mark.parametrize("bias", [1e200, math.inf, math.nan])
def test_a_network_with_numbers_that_are_too_large_is_not_proven(bias: float) -> None:
    nodes = list(export_graph(NETWORKS["pooled"]().eval(), CLIP).cast(torch.float64, torch.device("cpu")).nodes)
    last = nodes[-1].operation
    assert isinstance(last, Linear)
    last.bias[1] = bias
    frames = make_frames(1)
    checker = BallChecker(Graph(CLIP, tuple(nodes)), frames, make_space("pixels", frames), Norm.L2, 1)
    assert checker.margin(0.1, unchecked) == -math.inf


@pytest.mark.parametrize("kind", ["dense", "blocks:1x2", "affine", "pixels"])
def test_a_radius_that_reaches_everything_is_no_error_and_no_proof(kind: str) -> None:
    for radius in (1e3, 1e160, 1.7e308):
        assert proven_margin("linear", kind, Norm.L2, radius) < 0


def test_numbers_so_small_that_their_squares_vanish_prove_nothing() -> None:
    graph, frames = make_graph("linear"), make_frames(1)
    last = graph.nodes[-1].operation
    assert isinstance(last, Linear)
    node = replace(graph.nodes[-1], operation=replace(last, weight=1e-170 * last.weight, bias=1e-170 * last.bias))
    tiny = replace(graph, nodes=(*graph.nodes[:-1], node))
    for kind in ("pixels", "dense"):
        space = make_space(kind, frames)
        assert not BallChecker(tiny, frames, space, Norm.L2, label_of(tiny, frames)).margin(20.0, unchecked) > 0


@pytest.mark.parametrize(("kind", "norm"), [("affine", Norm.L1), ("affine", Norm.LINF)])
def test_a_space_whose_dual_norm_is_not_known_is_refused(kind: str, norm: Norm) -> None:
    with pytest.raises(UnsupportedOperationError, match=f"'affine' in the norm {norm.value}"):
        proven_margin("linear", kind, norm, 0.1)


def test_an_operation_without_a_rule_is_refused() -> None:
    graph = export_graph(Layers(nn.GELU(approximate="tanh")).eval(), CLIP).cast(torch.float64, torch.device("cpu"))
    frames = make_frames(1)
    with pytest.raises(UnsupportedOperationError, match="TanhGelu"):
        BallChecker(graph, frames, make_space("pixels", frames), Norm.L2, 0).margin(0.1, unchecked)


def _question(space: str, norm: Norm, module: nn.Module | None = None) -> Specification:
    """A clip of three small frames, and a network with an LSTM if none is given."""
    torch.manual_seed(1)
    config = {"channels": [3], "features": 4, "hidden": 4, "stride": 4}
    network = module or ARCHITECTURES["cnn_lstm"].build(config, frames=3, height=8, width=10, classes=3)
    network.eval().requires_grad_(False)
    classifier = Classifier("small", "0" * 64, "own", ("a", "b", "c"), InputSpecification(3, 8, 10), network)
    clip = Clip(make_frames(1, (3, 3, 8, 10)).float(), "noise.avi", "1" * 64)
    return Specification(clip=clip, classifier=classifier, space=space, norm=norm)


#: Space, norm, a radius that the checker proves.
CERTIFIED = [
    ("dense", Norm.L2, 0.05),
    ("dense", Norm.LINF, 0.001),
    ("pixels", Norm.L2, 0.01),
    ("pixels", Norm.LINF, 0.001),
]


def _certified(space: str, norm: Norm, lower: float) -> tuple[Specification, Problem, Certificate]:
    specification = _question(space, norm)
    problem = Problem.build(specification)
    return specification, problem, certify(problem, specification, None, lower, unchecked)


@pytest.mark.parametrize(("space", "norm", "lower"), CERTIFIED)
def test_a_certificate_of_a_ball_is_valid_and_no_attack_inside_succeeds(space: str, norm: Norm, lower: float) -> None:
    specification, problem, made = _certified(space, norm, lower)
    loaded = Certificate.parse(json.dumps({**made.content(), "digest": made.digest}))
    assert loaded == made
    assert (loaded.method, loaded.splits, loaded.radius) == (Method.BALL, (), lower)
    verdict = check(loaded, specification.clip, specification.classifier)
    assert verdict.valid, verdict.reason
    assert verdict.leaves == 1
    assert check_form(loaded).outcome is Outcome.UNKNOWN
    frames = problem.frames.double()
    points = points_of(frames, space, norm, lower)
    graph = problem.graph.cast(torch.float64, torch.device("cpu"))
    for a in attacked(graph, points, problem.label, seed=1):
        assert margin_of(graph(points.clip_of(a).unsqueeze(0)), problem.label) > 0


@pytest.mark.parametrize("space", ["dense", "pixels"])
def test_a_radius_that_is_too_large_is_lowered_until_it_is_proven(space: str) -> None:
    specification, _, made = _certified(space, Norm.L2, 1.6)
    assert 0.5 < made.radius < 1.6
    assert check(made, specification.clip, specification.classifier).valid
    raised = check(replace(made, radius=1.1 * made.radius).sealed(), specification.clip, specification.classifier)
    assert "is not proven" in raised.reason


def _set(**fields: object) -> Callable[[Certificate], Certificate]:
    return lambda made: replace(made, **fields)  # type: ignore[arg-type]


#: What is changed of a certificate of dense changes of all flows in L2, and a part of the reason that must be given.
TAMPERED: dict[str, tuple[Callable[[Certificate], Certificate], str]] = {
    "radius raised": (lambda made: replace(made, radius=30 * made.radius), "is not proven"),
    "radius beyond all squares": (_set(radius=1e200), "is not proven"),
    "radius near the end of all numbers": (_set(radius=1.7e308), "is not proven"),
    "cells": (_set(method=Method.CELLS), "at most 12 dimensions"),
    "cells with splits": (_set(method=Method.CELLS, splits=(Split(0, 0, 0.0),)), "at most 12 dimensions"),
    "splits": (_set(splits=(Split(0, 0, 0.0),)), "not split"),
    "another class": (lambda made: replace(made, label=(made.label + 1) % 3), "is not proven"),
    "a class that does not exist": (_set(label=3), "no class 3"),
    "a larger norm's ball": (_set(norm=Norm.LINF), "is not proven"),
    "pixels": (_set(space="pixels"), "flows"),
    "another space": (_set(space="affine"), "dimensions"),
    "fewer flows": (_set(flows=(1,)), "dimensions"),
    "fewer dimensions": (_set(dimensions=12), "dimensions"),
    "another clip": (_set(clip="f" * 64), "another clip"),
    "another classifier": (_set(classifier="f" * 64), "another classifier"),
}


@pytest.fixture(scope="module")
def dense() -> tuple[Specification, Problem, Certificate]:
    return _certified("dense", Norm.L2, 1.0)


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_with_a_ball_is_noticed(what: str, dense: tuple[Specification, Problem, Certificate]) -> None:
    specification, _, made = dense
    change, reason = TAMPERED[what]
    changed = change(made)
    assert "digest" in check(changed, specification.clip, specification.classifier).reason
    verdict = _verdict(changed.sealed(), specification)
    assert not verdict.valid
    assert reason in verdict.reason


def _verdict(certificate: Certificate, specification: Specification) -> Verdict:
    return check(certificate, specification.clip, specification.classifier)


def test_a_ball_under_the_other_name_is_proven_anew_or_not_at_all() -> None:
    """In a space of few dimensions both methods can be asked for; neither believes what the other one has proven."""
    specification, _, made = _certified("translation", Norm.L2, 0.03)
    assert made.method is Method.BALL
    assert _verdict(made, specification).valid
    wide = replace(made, radius=1e4)
    for method in Method:
        assert not _verdict(replace(wide, method=method).sealed(), specification).valid
    assert "method" in _refusal(made, method="faith")
    assert "method" in _refusal(made, method=None)


def _refusal(made: Certificate, **fields: Any) -> str:
    with pytest.raises(CertificateError) as refusal:
        Certificate.parse(json.dumps({**made.content(), "digest": made.digest, **fields}))
    return str(refusal.value)


def test_frames_that_are_not_those_of_the_ball_are_noticed(dense: tuple[Specification, Problem, Certificate]) -> None:
    specification, _, made = dense
    frames: Tensor = specification.clip.frames.clone()
    frames[0, 0, 0, 0] = 1 - frames[0, 0, 0, 0]
    other = check(made, replace(specification.clip, frames=frames), specification.classifier)
    assert "another clip" in other.reason


def test_a_network_that_knows_nothing_makes_no_certificate() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 3 * 8 * 10, 3), nn.GELU(approximate="tanh"), nn.Linear(3, 3))
    specification = _question("dense", Norm.L2, network)
    with pytest.raises(UnsupportedOperationError, match="TanhGelu"):
        certify(Problem.build(specification), specification, None, 0.1, unchecked)
    with pytest.raises(CertificateError, match="nothing has been proven"):
        certify(Problem.build(specification), specification, None, 0.0, unchecked)
