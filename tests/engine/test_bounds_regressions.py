"""Unsound bounds that were found once; each test failed before its repair."""

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from tests.engine.bounding import (
    HEIGHT,
    LENGTH,
    TOLERANCE,
    WIDTH,
    bounds_of,
    flow_region,
    make_frames,
    radius_for,
    worst_violation,
)
from verification.engine.bounds.problem import Problem
from verification.engine.game.root import prove
from verification.engine.network.export import export_graph
from verification.engine.network.graph import Graph, Node
from verification.engine.network.operations.arithmetic import Add, Affine
from verification.engine.network.operations.base import Operation
from verification.engine.network.operations.linear import Linear
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.shape import Reshape
from verification.engine.network.operations.slicing import Concatenate, Slice
from verification.engine.perturbation import Norm, build_space
from verification.engine.relaxation import Rounding


class TwoViews(nn.Module):
    """The clip and its mirror image as a batch of two through the same layers, then the mean over both."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv3d(3, 4, (2, 3, 3), padding=(0, 1, 1)), nn.Linear(8, 3)

    def forward(self, clip: Tensor) -> Tensor:
        views = torch.cat([clip, clip.flip(-1)]).transpose(1, 2)
        return self.head(torch.relu(self.conv(views)).mean((2, 3, 4)).reshape(1, -1))


@pytest.mark.parametrize(("kind", "norm"), [("dense", Norm.L2), ("translation", Norm.LINF)])
def test_views_joined_along_the_batch_axis(kind: str, norm: Norm) -> None:
    # Their windows met at the clip with two entries along the batch axis, of which only the first was seen to move.
    torch.manual_seed(0)
    graph = export_graph(TwoViews(), (1, LENGTH, 3, HEIGHT, WIDTH))
    region, points = flow_region(make_frames(5), kind, norm, radius_for(kind, norm, 1.0), Rounding(rigorous=True))
    assert worst_violation(graph, region, points, seed=7, count=6) <= TOLERANCE[True]


def test_constants_of_many_nodes_add_up_with_a_margin() -> None:
    # Each node covered the rounding of its own constant, none that of adding it to the constants before it.
    # One path adds 1e10, which is taken away at the end, another half a unit of its last place 1000 times.
    count, shift, one = 1000, -0.49 * math.ulp(1e10), torch.ones((1, 1), dtype=torch.float64)
    steps: list[tuple[Operation, tuple[int, ...]]] = [
        (Reshape((1, 6)), (0,)),
        (Slice(1, 0, 1), (1,)),
        (Affine(one, -1e10 * one), (2,)),
        (Slice(1, 1, 2), (1,)),
        *((Affine(one, shift * one), (number,)) for number in range(4, count + 4)),
        (Add(), (3, count + 4)),
        (Affine(one, 1e10 * one), (count + 5,)),
        (Affine(0 * one, 0 * one), (2,)),
        (Concatenate(1), (count + 6, count + 7)),
    ]
    shapes: list[tuple[int, ...]] = [(1, 2, 3, 1, 1)]
    for operation, inputs in steps:
        shapes.append(operation.output_shape(*(shapes[i] for i in inputs)))
    nodes = (Node(*step, shape, "", "") for step, shape in zip(steps, shapes[1:], strict=True))
    region, _ = flow_region(torch.full((2, 3, 1, 1), 0.25), "pixels", Norm.LINF, 1e-9, Rounding(rigorous=True))
    exact = 2 * (Fraction(0.25) - Fraction(1e-9)) + count * Fraction(shift)
    assert Fraction(float(bounds_of(Graph(shapes[0], tuple(nodes)), region).margins(0)[0])) <= exact


def test_underflow_proves_nothing() -> None:
    # Weights that float32 holds: pulled back through the small ones, the functional vanished before the large ones came.
    # The logits are 0.5e-38 and x 1e-38, with x a pixel that is 0.4 and that a whole pixel of movement makes 0.9.
    scales = [1e38] * 8 + [1e-38] * 9
    one, head = torch.ones((1, 12), dtype=torch.float64), torch.zeros((12, 2), dtype=torch.float64)
    head[6, 1] = 1.0
    chain = [Affine(scale * one, 0 * one) for scale in scales]
    operations = [Reshape((1, 12)), *chain, Linear(head, torch.tensor([0.5e-38, 0.0], dtype=torch.float64))]
    shapes = [*[(1, 12)] * (len(chain) + 1), (1, 2)]
    nodes = tuple(Node(op, (i,), shape, "", "") for i, (op, shape) in enumerate(zip(operations, shapes, strict=True)))
    frames = torch.tensor([0.4, 0.9]).expand(2, 3, 1, 2)
    problem = Problem(Graph((1, 2, 3, 1, 2), nodes), frames, build_space("translation", 2, 1, 2), Norm.LINF, label=0)
    assert int(problem.logits(torch.zeros((1, 2), dtype=torch.float64)).argmax()) == 0
    assert int(problem.logits(torch.tensor([[-1.0, 0.0]], dtype=torch.float64)).argmax()) == 1
    assert not prove(problem, 1.0, rigorous=True, check=lambda: None)


def test_values_too_small_for_float64_keep_their_intervals() -> None:
    # Scaled down until nothing is left, then up again: in truth the value is the pixel itself, in float64 it is zero.
    one = torch.ones((1, 12), dtype=torch.float64)
    chain = [Affine(scale * one, 0 * one) for scale in [1e-38] * 9 + [1e38] * 9]
    operations: list[Operation] = [Reshape((1, 12)), *chain, Relu()]
    nodes = tuple(Node(op, (i,), (1, 12), "", "") for i, op in enumerate(operations))
    graph = Graph((1, 2, 3, 1, 2), nodes)
    frames = torch.tensor([0.4, 0.9]).expand(2, 3, 1, 2)
    region, _ = flow_region(frames, "pixels", Norm.LINF, 0.01, Rounding(rigorous=True))
    box = bounds_of(graph, region).boxes[-1]
    truth = frames.double().reshape(1, 12)
    assert bool((box.lower <= truth).all())
    assert bool((box.upper >= truth).all())


class Padded(nn.Module):
    """Windows at the rim see nothing but padding: it is wider than the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.again = nn.Conv2d(3, 4, 2, stride=3, padding=4), nn.Conv2d(4, 2, 2, padding=3)
        with torch.no_grad():
            self.head = nn.LazyLinear(3)
            self(torch.rand(1, LENGTH, 3, HEIGHT, WIDTH))

    def forward(self, clip: Tensor) -> Tensor:
        return self.head(torch.relu(self.again(torch.relu(self.conv(clip.flatten(0, 1))))).reshape(1, -1))


def test_windows_that_lie_wholly_in_padding() -> None:
    # They had no length, at which the bounds broke off.
    torch.manual_seed(0)
    graph = export_graph(Padded(), (1, LENGTH, 3, HEIGHT, WIDTH))
    for kind in ("dense", "pixels"):
        region, points = flow_region(
            make_frames(5), kind, Norm.L2, radius_for(kind, Norm.L2, 1.0), Rounding(rigorous=True)
        )
        assert worst_violation(graph, region, points, seed=7, count=6) <= TOLERANCE[True]
