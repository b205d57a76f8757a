"""Max-pooling: the order of ReLU and pooling, bounds on differences, and pooling and convolution in one step."""

import itertools

import pytest
import torch
from torch import nn

from tests.engine.bounding import (
    CPU,
    HEIGHT,
    LENGTH,
    TOLERANCE,
    WIDTH,
    bounds_of,
    flow_region,
    make_frames,
    make_graph,
    make_network,
    radius_for,
    worst_violation,
)
from verification.engine.bounds.linear import LinearBounds
from verification.engine.network.export import export_graph
from verification.engine.network.operations import pooled_convolution
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.relu import Relu
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Interval, Rounding

POOLED = ["pooled convolutions", "pooled strides", "max pool"]


@pytest.mark.parametrize(("name", "norm"), list(itertools.product(POOLED, Norm)))
@pytest.mark.parametrize("size", [0.05, 1.0, 4.0])
def test_one_step_is_sound(name: str, norm: Norm, size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_convolution, "_MANY", 1)
    region, points = flow_region(make_frames(4), "dense", norm, radius_for("dense", norm, size), Rounding(True))
    assert worst_violation(make_graph(name, 3), region, points, seed=5) <= TOLERANCE[True]


@pytest.mark.parametrize("name", ["pooled convolutions", "pooled strides"])
def test_one_step_gives_what_two_steps_give(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    region, _ = flow_region(make_frames(1), "dense", Norm.L2, 0.4, Rounding(True))
    graph = make_graph(name, 2)
    results = []
    for many in (1, 1 << 60):
        monkeypatch.setattr(pooled_convolution, "_MANY", many)
        results.append(bounds_of(graph, region))
    assert any("matrices" in site.memory for site in results[0].sites)
    assert not any("matrices" in site.memory for site in results[1].sites)
    for one, two in zip(results[0].boxes, results[1].boxes, strict=True):
        assert torch.allclose(one.lower, two.lower, rtol=0, atol=1e-11)
        assert torch.allclose(one.upper, two.upper, rtol=0, atol=1e-11)


def test_relu_comes_after_pooling_and_the_function_stays_the_same() -> None:
    graph, module = make_graph("pooled convolutions", 1), make_network("pooled convolutions", 1).double()
    operations = [node.operation for node in graph.nodes]
    pools = [number for number, operation in enumerate(operations) if isinstance(operation, MaxPool)]
    assert len(pools) == 2
    assert all(isinstance(operations[number + 1], Relu) for number in pools)
    clip = torch.rand((1, LENGTH, 3, HEIGHT, WIDTH), dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(graph(clip), module(clip), atol=1e-12)


def test_an_activation_that_others_read_too_stays_where_it_is() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 2, 3), nn.Linear(3, 2)

        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            x = self.conv(clips[0]).relu()
            pooled = nn.functional.max_pool2d(x, 2).mean((0, 1)) + x.mean((0, 1))[:1, :1]
            return self.head(pooled.reshape(1, -1)[:, :3])

    operations = [node.operation for node in export_graph(Branching().eval(), (1, 4, 3, HEIGHT, WIDTH)).nodes]
    assert [type(o) for o in operations if isinstance(o, MaxPool | Relu)] == [Relu, MaxPool]


def test_differences_are_tighter_than_intervals_of_the_elements() -> None:
    """Elements that move together keep their order: the pooled value is no wider than its favourite."""
    region, _ = flow_region(make_frames(2), "translation", Norm.L2, 0.5, Rounding(True))
    graph = make_graph("pooled convolutions", 1)
    bounds = bounds_of(graph, region)
    number = next(i for i, node in enumerate(graph.nodes, start=1) if isinstance(node.operation, MaxPool))
    plain = graph.nodes[number - 1].operation.interval(Rounding(True), bounds.boxes[number - 1])
    gained = (bounds.boxes[number].upper - bounds.boxes[number].lower) / (plain.upper - plain.lower).clamp(min=1e-12)
    assert float(gained.max()) <= 1 + 1e-9
    assert float(gained.min()) < 0.8


@pytest.mark.parametrize(("effort", "widest"), [(0, 1.0), (1_000, 1.0), (20_000, 1.0), (None, 0.02)])
def test_bounds_of_little_effort_are_sound_and_say_what_they_left_out(effort: int | None, widest: float) -> None:
    region, _ = flow_region(make_frames(3), "dense", Norm.L2, 0.3, Rounding(True))
    graph = make_graph("pooled convolutions", 1).cast(torch.float64, CPU)
    with torch.no_grad():
        whole, part = LinearBounds(graph, region), LinearBounds(graph, region, effort=effort, widest=widest)
    assert whole.complete
    assert not part.complete
    assert part.spent > 0 or not effort
    # A proven interval of the whole and one of the part hold the same values, so they meet.
    assert all(_meet(a, b) for a, b in zip(whole.boxes, part.boxes, strict=True))
    assert bool((part.margins(0) <= whole.margins(0) + 1e-9).all())


def _meet(a: Interval, b: Interval) -> bool:
    return bool((torch.maximum(a.lower, b.lower) <= torch.minimum(a.upper, b.upper)).all())
