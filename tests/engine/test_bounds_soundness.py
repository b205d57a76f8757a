"""No value of any point of a region leaves its bound: every operation, every space, every norm, both arithmetics."""

import itertools
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.engine.bounding import (
    NETWORKS,
    TOLERANCE,
    bounds_of,
    flow_region,
    make_frames,
    make_graph,
    radius_for,
    worst_plane,
    worst_violation,
)
from verification.engine.network.operations.base import Elementwise
from verification.engine.network.operations.clamp import Clamp
from verification.engine.network.operations.exponential import Elu, Exp, Softplus
from verification.engine.network.operations.gate import Gate
from verification.engine.network.operations.gated import Gelu, Hardswish, Silu, TanhGelu
from verification.engine.network.operations.kinked import Kinked
from verification.engine.network.operations.piecewise import Piecewise
from verification.engine.network.operations.power import Power
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.sigmoid import Sigmoid, Tanh
from verification.engine.network.operations.threshold import Threshold
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Interval, Rounding

KINDS = ["dense", "translation", "pixels"]
#: Spaces that differ from these in their support alone.
MORE = ["blocks:2x3", "moving:0.5", "affine"]


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_operation_is_bounded_in_every_norm(name: str, norm: Norm) -> None:
    graph, frames = make_graph(name, seed=3), make_frames(seed=5)
    # Long graphs take long: each norm in one space, and each space once.
    turn = list(Norm).index(norm)
    another = MORE[(turn + list(NETWORKS).index(name)) % len(MORE)]
    for kind in [*KINDS, another] if len(graph.nodes) < 60 else [KINDS[turn]]:
        region, points = flow_region(frames, kind, norm, radius_for(kind, norm, 1.0), Rounding(rigorous=True))
        assert worst_violation(graph, region, points, seed=7, count=12) <= TOLERANCE[True], kind


@settings(max_examples=45, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    name=st.sampled_from(list(NETWORKS)),
    kind=st.sampled_from(KINDS + MORE),
    norm=st.sampled_from(list(Norm)),
    size=st.floats(0.02, 12.0),
    flows=st.sampled_from([None, (1,), (2,), (1, 3)]),
    rigorous=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_random_networks_and_regions(
    name: str, kind: str, norm: Norm, size: float, flows: tuple[int, ...] | None, rigorous: bool, seed: int
) -> None:
    graph, frames = make_graph(name, 3 + seed % 2), make_frames(seed + 1)
    chosen = None if kind == "pixels" else flows
    region, points = flow_region(frames, kind, norm, radius_for(kind, norm, size), Rounding(rigorous), chosen)
    scale = 1 + max(abs(float(v)) for v in graph(frames.double().unsqueeze(0))[0])
    assert worst_violation(graph, region, points, seed, count=9) <= TOLERANCE[rigorous] * scale


def test_float64_and_float32_agree() -> None:
    graph, frames = make_graph("conv3d", 1), make_frames(2)
    results = []
    for rigorous in (True, False):
        region, _ = flow_region(frames, "dense", Norm.L2, 0.3, Rounding(rigorous))
        results.append(bounds_of(graph, region).margins(0).double())
    assert torch.allclose(results[0], results[1], atol=1e-4)
    assert (results[0] <= results[1] + 1e-4).all()


def test_bounds_do_not_depend_on_the_size_of_batches() -> None:
    graph, frames = make_graph("conv2d deep", 1), make_frames(2)
    region, _ = flow_region(frames, "dense", Norm.LINF, 0.1, Rounding(rigorous=True))
    whole, pieces = bounds_of(graph, region), bounds_of(graph, region, memory=2000)
    assert torch.allclose(whole.margins(1), pieces.margins(1), rtol=1e-9, atol=1e-12)


def test_a_larger_ball_never_has_better_bounds_at_the_end() -> None:
    graph, frames = make_graph("lstm", 4), make_frames(2)
    margins = []
    for radius in (0.0, 0.05, 0.2, 0.8):
        region, _ = flow_region(frames, "dense", Norm.L2, radius, Rounding(rigorous=True))
        margins.append(bounds_of(graph, region).margins(0))
    for small, large in itertools.pairwise(margins):
        assert (large <= small + 1e-9).all()


def test_bounds_are_exact_at_radius_zero() -> None:
    graph, frames = make_graph("lstm", 4), make_frames(2)
    region, _ = flow_region(frames, "dense", Norm.L2, 0.0, Rounding(rigorous=True))
    logits = graph(frames.double().unsqueeze(0))[0]
    expected = logits[0] - logits[1:]
    assert torch.allclose(bounds_of(graph, region).margins(0), expected, atol=1e-9)


NEGATIVE = Kinked(torch.tensor(-0.7, dtype=torch.float64))
ELEMENTWISE: list[tuple[Elementwise, int]] = [
    *((operation, 1) for operation in (Relu(), Relu(0.2), Sigmoid(), Tanh())),
    *((operation, 1) for operation in (Gelu(), TanhGelu(), Silu(), Hardswish())),
    *((operation, 1) for operation in (Clamp(-0.3, 0.4), Clamp(-math.inf, 1.0), NEGATIVE)),
    *((operation, 1) for operation in (Exp(), Elu(0.7, 1.5, 1.2), Elu(-0.5, 1.0, 1.0))),
    *((operation, 1) for operation in (Softplus(2.0, 1.0), Softplus(3.0, 20.0), Softplus(1.0, math.inf))),
    *((operation, 1) for operation in (Power(2), Power(3), Power(6), Threshold(0.2, -0.4), Threshold(-1.0, 2.0))),
    (Product(), 2),
    (Gate(True), 2),
    (Gate(False), 2),
]


@pytest.mark.parametrize(("operation", "arity"), ELEMENTWISE, ids=str)
@pytest.mark.parametrize("span", [1e-9, 1e-3, 1.0, 8.0, 60.0, 2000.0])
def test_planes_hold_on_boxes_of_every_size(operation: Elementwise, arity: int, span: float) -> None:
    largest = 600.0 if isinstance(operation, Exp) else span  # beyond it exp overflows
    assert worst_plane(operation, arity, min(span, largest), seed=1) <= 1e-15 * span  # the test's own rounding


@pytest.mark.parametrize(
    "operation", [operation for operation, _ in ELEMENTWISE if isinstance(operation, Piecewise)], ids=str
)
@pytest.mark.parametrize("span", [1.0, 8.0])
def test_planes_of_pieces_lose_little(operation: Piecewise, span: float) -> None:
    """Halfway, the gap between both planes is hardly larger than that between the convex and the concave hull."""
    ends = (torch.rand((2, 200), generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5) * span
    box = Interval(ends.amin(0), ends.amax(0))
    planes, middle = operation.planes(Rounding(rigorous=True), box), (box.lower + box.upper) / 2
    gap = (planes.upper_slopes[0] - planes.lower_slopes[0]) * middle + planes.upper_intercept - planes.lower_intercept
    least = _hull(operation, box, 1) + _hull(operation, box, -1)
    assert bool((gap >= least - 1e-12).all())
    assert float(((gap - least) / least.clamp(min=1e-9)).median()) <= 0.02


def _hull(operation: Piecewise, box: Interval, sign: int) -> Tensor:
    """The height halfway of the concave hull of `sign * f`, from below: the best of many chords."""
    middle, half = (box.lower + box.upper) / 2, (box.upper - box.lower) / 2
    best = sign * operation.concrete(middle)
    shares = torch.linspace(0.1, 1.0, 10, dtype=torch.float64)
    for left in shares:
        for right in shares:
            low, high = (operation.concrete(middle + half * share) for share in (-left, right))
            best = torch.maximum(best, sign * (low * right + high * left) / (left + right))
    return best


@pytest.mark.parametrize("operation", [Gelu(), Kinked(torch.tensor([-0.5, 0.3, 2.0], dtype=torch.float64).view(3, 1))])
def test_planes_made_in_chunks_are_those_made_at_once(operation: Piecewise, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = (torch.rand((2, 4, 3, 64), generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5) * 4
    box, rounding = Interval(ends.amin(0), ends.amax(0)), Rounding(rigorous=True)
    planes, interval = operation.planes(rounding, box), operation.interval(rounding, box)
    monkeypatch.setattr("verification.engine.network.operations.piecewise._CHUNK", 80)
    again, interval_again = operation.planes(rounding, box), operation.interval(rounding, box)
    pairs = [(planes.lower_slopes[0], again.lower_slopes[0]), (planes.upper_slopes[0], again.upper_slopes[0])]
    pairs += [(planes.lower_intercept, again.lower_intercept), (planes.upper_intercept, again.upper_intercept)]
    pairs += [(interval.lower, interval_again.lower), (interval.upper, interval_again.upper)]
    for whole, parts in pairs:
        torch.testing.assert_close(parts, whole, rtol=0, atol=1e-15)


def test_intervals_without_numbers_prove_nothing() -> None:
    nothing = torch.full((3,), math.nan, dtype=torch.float64)
    box = Gelu().interval(Rounding(rigorous=True), Interval(nothing, nothing))
    assert not bool(torch.isfinite(box.lower).any() or torch.isfinite(box.upper).any())
