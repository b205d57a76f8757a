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
from verification.engine.bounds.ball import ball_around
from verification.engine.bounds.pixels import PixelBall
from verification.engine.bounds.problem import Problem
from verification.engine.errors import ClassifierError, UnsupportedOperationError
from verification.engine.game.root import prove
from verification.engine.network.export import export_graph
from verification.engine.network.graph import Graph, Node
from verification.engine.network.operations.arithmetic import Add, Affine
from verification.engine.network.operations.base import Operation, Site
from verification.engine.network.operations.linear import Linear
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.shape import Reshape
from verification.engine.network.operations.slicing import Concatenate, Slice
from verification.engine.perturbation import Norm, build_space
from verification.engine.relaxation import Cone, Form, Interval, Rounding


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
    assert int(problem.logits(torch.zeros(problem.space.shape, dtype=torch.float64)).argmax()) == 0
    assert int(problem.logits(torch.tensor([-1.0, 0.0], dtype=torch.float64).view(problem.space.shape)).argmax()) == 1
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


class Small(nn.Module):
    """Logits 0.5e-170 and x 1e-170, with x a pixel of the second frame, by weights that float32 holds."""

    def forward(self, clip: Tensor) -> Tensor:
        x = clip.reshape(1, 12)[:, 6:7]
        logits = torch.cat([0 * x + 0.5, x], 1)
        for _ in range(17):
            logits = logits * 1e-10
        return logits


@pytest.mark.parametrize("kind", ["dense", "translation"])
def test_squares_that_underflow_prove_nothing(kind: str) -> None:
    # The Euclidean norm of coefficients below 1e-162 was zero: nothing seemed to change the logits, however far it moved.
    graph = export_graph(Small(), (1, 2, 3, 1, 2))
    frames = torch.tensor([0.4, 0.9]).expand(2, 3, 1, 2)
    problem = Problem(graph, frames, build_space(kind, 2, 1, 2), Norm.L2, label=0)
    a = torch.zeros(problem.space.shape, dtype=torch.float64)
    assert int(problem.logits(a).argmax()) == 0
    a.view(2, -1)[0] = -1.0  # one pixel along x
    assert int(problem.logits(a).argmax()) == 1
    assert not prove(problem, 1.5, rigorous=True, check=lambda: None)


def test_squares_that_underflow_in_balls_of_pixels() -> None:
    ball = PixelBall(torch.full((1, 2, 3, 1, 2), 0.5), 0.2, Norm.L2, Rounding(rigorous=True))
    coefficients = torch.full((1, 1, 1, 2, 3, 1, 2), 1e-170, dtype=torch.float64)
    form = Form(coefficients, torch.zeros((1, 5), dtype=torch.int64), (1, 2, 3, 1, 2))
    assert float(ball.minimum(form)) <= (12 * 0.5 - 0.2 * math.sqrt(12)) * 1e-170


class Remembers(nn.Module):
    """Keeps its hidden state, of the shape of logits, in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.state: Tensor
        self.register_buffer("state", torch.zeros(1, 3))
        self.first, self.head = nn.Linear(12, 3), nn.Linear(3, 3)

    def forward(self, clip: Tensor) -> Tensor:
        self.state.copy_(self.first(clip.reshape(1, 12)))
        return self.head(torch.relu(self.state))


def test_a_buffer_that_changes_is_not_the_answer() -> None:
    # `torch.export` returns changed buffers before the answer; the first of them was taken for the logits.
    with pytest.raises(ClassifierError, match="buffer state"):
        export_graph(Remembers(), (1, 2, 3, 1, 2))


class InPlace(nn.Module):
    """Normalises its input in place."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 3)

    def forward(self, clip: Tensor) -> Tensor:
        return self.head(clip.sub_(0.5).mul_(3).reshape(1, 12))


def test_an_input_changed_in_place_is_not_the_answer() -> None:
    clip = torch.rand(1, 2, 3, 1, 2)
    network = InPlace()
    graph = export_graph(network, (1, 2, 3, 1, 2))
    with torch.no_grad():
        torch.testing.assert_close(graph(clip.double()).float(), network(clip))


class Whole(nn.Module):
    """Sums whole numbers: every pixel below 1 counts for nothing."""

    def forward(self, clip: Tensor) -> Tensor:
        return clip.sum((1, 3, 4), dtype=torch.int32) * 0.1


class Noise(nn.Module):
    """Adds other noise to every clip."""

    def forward(self, clip: Tensor) -> Tensor:
        return (clip + torch.rand(1, 2, 3, 1, 2)).sum((1, 3, 4))


@pytest.mark.parametrize(("network", "what"), [(Whole(), "as int32"), (Noise(), "random numbers")])
def test_networks_that_are_another_function_as_a_graph(network: nn.Module, what: str) -> None:
    # The type of a sum was ignored, and random numbers were drawn once and kept as a constant.
    with pytest.raises(UnsupportedOperationError, match=what):
        export_graph(network, (1, 2, 3, 1, 2))


class Threshold(nn.Module):
    """0.7 times 10 is 7 in float32; in float64 the weight 0.7 is a little less."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor([0.7]))

    def forward(self, clip: Tensor) -> Tensor:
        return clip.sum((1, 3, 4)) * (self.share * 10).floor()


def test_constants_are_those_of_the_module() -> None:
    # They were computed in float64, where rounding them gave another number.
    clip = torch.rand(1, 2, 3, 1, 2)
    graph = export_graph(Threshold(), (1, 2, 3, 1, 2))
    with torch.no_grad():
        torch.testing.assert_close(graph(clip.double()).float(), Threshold()(clip))


def test_the_cone_of_a_leaky_relu_reaches_as_low_as_the_function() -> None:
    # Its slope 0.01 was rounded to float32, which is less, and the lower end lay above the function.
    box = [
        Interval(*(torch.tensor([end], dtype=torch.float64) for end in ends)) for ends in ((-3.1, -2.9), (-4.0, -2.0))
    ]
    site = Site(((1,),), (box[1],), Rounding(rigorous=True), cones=(Cone(*box),))
    cone = Relu(0.01).cone(site)
    assert cone is not None
    assert Fraction(float(cone.base.lower)) <= Fraction(0.01) * -4


def test_slopes_beyond_the_frame_count_where_displacements_may_go_there() -> None:
    # Slopes were looked for up to the frame's far side alone. Three pixels whose slopes up to there add up to nothing for any
    # affine field still change when such a field goes farther.
    rising, falling = [0.2, 0.3, 0.4, 0.5, 1.0], [0.8, 0.7, 0.6, 0.5, 0.44]
    frames = torch.zeros(2, 3, 5, 5, dtype=torch.float64)
    frames[:, 0], frames[:, 1] = torch.tensor([rising, falling], dtype=torch.float64).unsqueeze(1)
    weights = torch.zeros((1, 1, 1, *frames.shape), dtype=torch.float64)
    weights[0, 0, 0, 1, 0, 3, 3], weights[0, 0, 0, 1, 1, 2:5:2, 3] = 2.0, 1 / 0.6
    space = build_space("affine", 2, 5, 5, None)
    a = torch.zeros(space.shape, dtype=torch.float64)
    a[0, 0, 2] = 8.0
    region = ball_around(frames, space, Norm.L2, float(space.norm(a, Norm.L2)), Rounding(rigorous=True))
    form = Form(weights, torch.zeros(1, 5, dtype=torch.int64), (1, 2, 3, 5, 5))
    reached = (weights[0, 0, 0] * space.perturbed(frames, space.lift(a))).sum()
    assert float(region.minimum(form)) <= float(reached)
