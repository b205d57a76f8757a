"""Bounds in little memory: what finds no room is computed again, or given up, and is as sound."""

import math

import pytest
import torch
from torch import Tensor

from tests.engine.bounding import CPU, TOLERANCE, flow_region, make_frames, make_graph, worst_violation
from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.region import Region
from verification.engine.network.graph import Graph
from verification.engine.network.operations import convolution
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Rounding

NETWORKS = ("pooled convolutions", "max pool", "lstm", "conv3d", "side by side")
#: Bytes: nothing, a few of the tensors of such a network, enough to bound each value, to keep some planes too, all of them.
ROOMS = (0.0, 3e4, 3e5, 1e6, math.inf)
ENOUGH = 1e6


def bounds_in(room: float, graph: Graph, region: Region) -> LinearBounds:
    with torch.no_grad():
        return LinearBounds(graph.cast(region.rounding.dtype, CPU), region, room=room)


def kept(bounds: LinearBounds) -> int:
    """Bytes of tensors that the sites keep for further use."""
    values = [
        value
        for site in bounds.sites
        for name, value in site.memory.items()
        if name in ("planes", "magnitude", "constants", "matrices")
    ]
    parts = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
    return sum(part.numel() * part.element_size() for part in parts if isinstance(part, Tensor))


@pytest.mark.parametrize("name", NETWORKS)
def test_what_finds_no_room_is_given_up_or_computed_again(name: str) -> None:
    region, _ = flow_region(make_frames(1), "dense", Norm.LINF, 0.05, Rounding(rigorous=True))
    graph = make_graph(name, 1)
    everything = bounds_in(math.inf, graph, region)
    for room in ROOMS:
        bounds = bounds_in(room, graph, region)
        assert kept(bounds) <= room
        assert bool((bounds.margins(0) <= everything.margins(0) + 1e-4).all())
        if room >= ENOUGH:
            # Of two planes that are equally good the last digit chooses.
            torch.testing.assert_close(bounds.margins(0), everything.margins(0), rtol=2e-3, atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_bounds_in_little_room_are_sound(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, graph = make_frames(2), make_graph(name, 2)
    region, points = flow_region(frames, "dense", Norm.L2, 0.1, Rounding(rigorous=True))
    for room in ROOMS[:4]:
        monkeypatch.setattr("tests.engine.bounding.bounds_of", lambda *of, room=room: bounds_in(room, *of))
        assert worst_violation(graph, region, points, 2) <= TOLERANCE[True]


def test_cones_are_kept_where_there_is_room_for_all_of_them() -> None:
    region, _ = flow_region(make_frames(1), "dense", Norm.L2, 0.1, Rounding(rigorous=True))
    graph = make_graph("pooled convolutions", 1)
    coned = [any(cone is not None for cone in bounds_in(room, graph, region).cones) for room in ROOMS]
    assert coned[0] is False
    assert coned[-1] is True


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_large_convolution_is_the_same_frame_by_frame(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(rank)
    weight = torch.randn(8, 3, *[3] * rank, dtype=torch.float64, generator=generator)
    bias = torch.randn(8, dtype=torch.float64, generator=generator)
    twice, once = (2,) * rank, (1,) * rank
    operation = convolution.Convolution(weight, bias, twice, once, twice, 2)
    x = torch.randn(7, 6, *[9] * rank, dtype=torch.float64, generator=generator)
    whole = operation.concrete(x)

    monkeypatch.setattr(convolution, "_MOST_UNFOLDED", 1)

    assert torch.equal(operation.concrete(x), whole)
