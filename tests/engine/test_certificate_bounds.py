"""The checker's own bounds: whatever lies in a leaf lies in its forms and above its margins; nothing else would be a proof."""

import math

import pytest
import torch
from torch import Tensor

from tests.engine.networks import Pooled
from tests.engine.test_architecture_bounds import FRAMES, HEIGHT, SMALL, WIDTH
from verification.engine.certificate.checker import Checker
from verification.engine.certificate.cover import Ball, CoverError, Split, leaves_of
from verification.engine.certificate.forms import AffineForm, image_of
from verification.engine.certificate.imposed import Imposed
from verification.engine.certificate.shifted import Shifted
from verification.engine.errors import UnsupportedOperationError
from verification.engine.network import ARCHITECTURES
from verification.engine.network.export import export_graph
from verification.engine.network.graph import Graph
from verification.engine.network.operations.arithmetic import Add, Affine
from verification.engine.network.operations.base import Operation
from verification.engine.network.operations.clamp import Clamp
from verification.engine.network.operations.convolution import Convolution
from verification.engine.network.operations.exponential import Elu, Softplus
from verification.engine.network.operations.gate import Gate
from verification.engine.network.operations.gated import Gelu, Hardswish, Silu, TanhGelu
from verification.engine.network.operations.gather import Take
from verification.engine.network.operations.kinked import Kinked
from verification.engine.network.operations.linear import Linear
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.power import Power
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.reduction import Sum
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.sigmoid import Sigmoid, Tanh
from verification.engine.network.operations.transposed import TransposedConvolution
from verification.engine.perturbation import FlowSpace, Norm, build_space

SHAPE = (1, 3, 6, 6)


def _weights(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


_OPERATIONS = [
    (MaxPool((2, 2), (2, 2), (0, 0), (1, 1)), 1),
    (MaxPool((3, 3), (2, 2), (1, 1), (1, 1)), 1),
    (Relu(), 1),
    (Relu(0.2), 1),
    (Sigmoid(), 1),
    (Tanh(), 1),
    (Silu(), 1),
    (Gelu(), 1),
    (Hardswish(), 1),
    (Elu(0.7, 1.0, 1.2), 1),
    (Softplus(2.0, 1.0), 1),
    (Power(2), 1),
    (Power(3), 1),
    (Clamp(-0.3, math.inf), 1),
    (Clamp(-0.3, 0.4), 1),
    (Kinked(_weights(3, 1, 1)), 1),
    (Product(), 2),
    (Gate(squashed=True), 2),
    (Gate(squashed=False), 2),
    (Add(), 2),
    (Add(-1), 2),
    (Sum((2, 3)), 1),
    (Take(3, (5, 0, 0, 2)), 1),
    (Affine(_weights(*SHAPE), _weights(*SHAPE)), 1),
    (Linear(_weights(6, 4), _weights(4)), 1),
    (Convolution(_weights(2, 3, 3, 3), _weights(2), (2, 1), (1, 1), (1, 1), 1), 1),
    (TransposedConvolution(_weights(3, 2, 3, 3), _weights(2), (2, 2), (1, 1), (1, 1), 1, (0, 0)), 1),
]


def _corner(shape: tuple[int, ...]) -> Tensor:
    """Numbers from -1 to 1, many of them at the ends."""
    return (3 * torch.rand(shape, dtype=torch.float64) - 1.5).clamp(-1, 1)


@pytest.mark.parametrize(("operation", "count"), _OPERATIONS)
@pytest.mark.parametrize("offset", [0.0, 3.0, -40.0])
def test_values_lie_in_the_form_that_a_rule_makes(operation: Operation, count: int, offset: float) -> None:
    torch.manual_seed(3)
    sizes, share = torch.tensor([1e-9, 0.05, 0.4, 1.5, 6.0], dtype=torch.float64).view(-1, 1, 1, 1, 1), 0.0
    centres = [offset * (i == 0) + torch.randn((5, *SHAPE), dtype=torch.float64) for i in range(count)]
    slopes = [sizes.unsqueeze(1) * torch.randn((5, 2, *SHAPE), dtype=torch.float64) for _ in range(count)]
    errors = [0.2 * sizes * torch.rand((5, *SHAPE), dtype=torch.float64) for _ in range(count)]
    inputs = [AffineForm(c, s, e, True) for c, s, e in zip(centres, slopes, errors, strict=True)]
    result = image_of(operation, inputs)
    for _ in range(200):
        z = _corner((5, 2))
        values = [
            x.centre + torch.einsum("bg,bg...->b...", z, x.slopes) + x.error * _corner(tuple(x.error.shape))
            for x in inputs
        ]
        output = torch.stack([operation.concrete(*parts) for parts in zip(*values, strict=True)])
        rest = (output - result.centre - torch.einsum("bg,bg...->b...", z, result.slopes)).abs()
        # The test's own sums are rounded too.
        assert bool((rest <= result.error + 1e-14 * (output.abs() + result.size)).all())
        share = max(share, float((rest / result.error.clamp(min=1e-9)).amax()))
    assert share > 0.5 or (offset and not operation.linear_part())  # and such forms are not needlessly wide


@pytest.mark.parametrize(
    "operation", [Sigmoid(), Tanh(), Relu(), Relu(0.3), Gelu(), Elu(0.7, 1.0, 1.2), Clamp(-0.3, 0.4)]
)
def test_the_whole_graph_of_a_function_lies_in_its_form(operation: Operation) -> None:
    for first, last in [(-1.0, 1.0), (-8.0, 0.5), (-0.1, 9.0), (2.0, 2.5), (-700.0, 800.0), (-3.0, -2.9), (1.0, 1.0)]:
        x = torch.linspace(first, last, 20001, dtype=torch.float64)
        middle, half = (first + last) / 2, (last - first) / 2
        one = torch.ones(1, 1, dtype=torch.float64)
        form = image_of(operation, [AffineForm(middle * one, half * one.unsqueeze(1), 0 * one, False)])
        z = ((x - middle) / max(half, 1e-300)).clamp(-1, 1)
        rest = (operation.concrete(x) - form.centre[0] - z * form.slopes[0, 0]).abs()
        assert float(rest.amax()) <= float(form.error)


def test_errors_that_are_named_cancel_where_values_are_subtracted() -> None:
    torch.manual_seed(0)
    x = AffineForm(torch.randn(2, 1, 4).double(), torch.randn(2, 3, 1, 4).double(), torch.rand(2, 1, 4).double(), True)
    named = x.named(5)
    assert named.slopes.shape[1] == 9
    assert float(image_of(Add(-1), [named, named]).ends[1].amax()) < 1e-9
    assert float(image_of(Add(-1), [x, x]).ends[1].amax()) > 0.1
    torch.testing.assert_close(named.ends[0], x.ends[0])


def test_an_operation_without_a_rule_is_named() -> None:
    one = torch.ones(1, 1, dtype=torch.float64)
    with pytest.raises(UnsupportedOperationError, match="cannot check: operation TanhGelu"):
        image_of(TanhGelu(), [AffineForm(one, one.unsqueeze(1), one, False)])


def _graph() -> tuple[Graph, Tensor]:
    torch.manual_seed(1)
    frames = torch.rand(3, 3, 6, 8).double()
    return export_graph(Pooled().eval(), (1, 3, 3, 6, 8)).cast(torch.float64, torch.device("cpu")), frames


def _space(text: str, flows: tuple[int, ...] | None) -> FlowSpace:
    space = build_space(text, 3, 6, 8, flows)
    assert isinstance(space, FlowSpace)
    return space


def _inside(lower: Tensor, upper: Tensor) -> Tensor:
    """Points of boxes, often on their sides."""
    return lower + (upper - lower) * (1.6 * torch.rand_like(lower) - 0.3).clamp(0, 1)


def _boxes(dimensions: int, half: float) -> tuple[Tensor, Tensor]:
    """Boxes here and there: at whole pixels, beside them, and far beyond the frame."""
    centres = 3 * torch.randn(6, dimensions, dtype=torch.float64)
    centres[2] = centres[2].round()
    centres[3] = centres[3].round() + half
    centres[5] *= 10
    return centres - half, centres + half


@pytest.mark.parametrize("flows", [None, (1,)])
@pytest.mark.parametrize("space", ["translation", "blocks:1x2", "affine"])
@pytest.mark.parametrize("half", [1e-7, 0.02, 0.1, 0.49])
def test_margins_of_all_points_of_a_leaf_lie_above_its_proof(
    space: str, flows: tuple[int, ...] | None, half: float
) -> None:
    graph, frames = _graph()
    flow_space = _space(space, flows)
    checker = Checker(graph, frames, flow_space, 1)
    lower, upper = _boxes(flow_space.dimensions, half)
    proof = checker.prove(lower, upper, Ball.of(flow_space, Norm.L2, 1e6), lambda: None)
    assert half > 0.2 or bool((proof.margins > -math.inf).any())
    for _ in range(30):
        for a, least in zip(_inside(lower, upper), proof.margins.tolist(), strict=True):
            clip = flow_space.perturbed(frames, flow_space.lift(a.view(flow_space.shape)))
            logits = graph(clip.unsqueeze(0))[0]
            assert min(float(logits[1] - logits[0]), float(logits[1] - logits[2])) >= least
    if half < 1e-6:  # and such small leaves lose hardly anything
        centre = (lower + upper)[0] / 2
        logits = graph(flow_space.perturbed(frames, flow_space.lift(centre.view(flow_space.shape))).unsqueeze(0))[0]
        assert float(proof.margins[0]) > min(float(logits[1] - logits[0]), float(logits[1] - logits[2])) - 1e-4


@pytest.mark.parametrize("name", SMALL)
def test_every_named_architecture_can_be_checked(name: str) -> None:
    torch.manual_seed(1)
    network = ARCHITECTURES[name].build(SMALL[name], frames=FRAMES, height=HEIGHT, width=WIDTH, classes=3).eval()
    graph = export_graph(network, (1, FRAMES, 3, HEIGHT, WIDTH)).cast(torch.float64, torch.device("cpu"))
    frames = torch.rand(FRAMES, 3, HEIGHT, WIDTH).double()
    space = build_space("translation", FRAMES, HEIGHT, WIDTH, (2,))
    assert isinstance(space, FlowSpace)
    label = int(graph(frames.unsqueeze(0)).argmax())
    lower = torch.tensor([[-1e-6, -1e-6], [0.1, -0.2]], dtype=torch.float64)
    upper = torch.tensor([[1e-6, 1e-6], [0.4, 0.0]], dtype=torch.float64)
    proof = Checker(graph, frames, space, label).prove(lower, upper, Ball.of(space, Norm.L2, 100.0), lambda: None)
    assert float(proof.margins[0]) > 0
    for _ in range(100):
        for a, least in zip(_inside(lower, upper), proof.margins.tolist(), strict=True):
            logits = graph(space.perturbed(frames, space.lift(a.view(space.shape))).unsqueeze(0))[0]
            others = torch.cat([logits[:label], logits[label + 1 :]])
            assert float(logits[label] - others.amax()) >= least


@pytest.mark.parametrize("space", ["translation", "blocks:1x2", "affine"])
@pytest.mark.parametrize("half", [1e-7, 0.03, 0.08])
def test_pixels_of_all_points_of_a_leaf_lie_in_its_form(space: str, half: float) -> None:
    _, frames = _graph()
    flow_space = _space(space, None)
    imposed = Imposed(frames, flow_space)
    lower, upper = _boxes(flow_space.dimensions, half)
    fits = imposed.rectangles(lower, upper).lines().flatten(1).amax(1) <= 1
    lower, upper = lower[fits], upper[fits]
    form = imposed.form(lower, upper)
    dimensions, share = flow_space.dimensions, 0.0
    reach = form.error + form.slopes[:, dimensions:].abs().sum(1)
    for _ in range(100):
        a = _inside(lower, upper)
        z = ((a - (lower + upper) / 2) / half).clamp(-1, 1)
        clips = torch.stack([flow_space.perturbed(frames, flow_space.lift(row.view(flow_space.shape))) for row in a])
        linear = torch.einsum("bk,bk...->b...", z, form.slopes[:, :dimensions])
        rest = (clips.unsqueeze(1) - form.centre - linear).abs()
        # Where all coordinates are at their ends z is rounded: that much of the slopes.
        assert bool((rest <= reach + 1e-9).all())
        share = max(share, float((rest / reach.clamp(min=1e-6)).amax()))
    assert len(lower) and (half < 1e-6 or share > 0.5)


def test_a_line_of_whole_pixels_beside_a_side_is_counted_as_error() -> None:
    _, frames = _graph()
    space = _space("translation", (1,))
    lower, upper = torch.zeros(1, 2, dtype=torch.float64), torch.full((1, 2), 1 + 8e-12, dtype=torch.float64)
    form = Imposed(frames, space).form(lower, upper)
    line = space.perturbed(frames, space.lift(torch.ones(space.shape, dtype=torch.float64)))
    z = float((1 - upper[0, 0] / 2) / (upper[0, 0] / 2))
    known = form.centre + z * form.slopes[:, 0] + z * form.slopes[:, 1] + z * z * form.slopes[:, 2]
    assert form.slopes.shape[1] == 3
    assert float((line - known).abs().amax()) > 1e-12
    assert bool(((line - known).abs() <= form.error).all())


def test_leaves_with_several_lines_of_whole_pixels_inside_are_not_proven() -> None:
    graph, frames = _graph()
    space = _space("translation", None)  # the last frame moves by the sum of both flows
    wide = torch.full((1, 4), 0.6, dtype=torch.float64)
    checker, ball = Checker(graph, frames, space, 1), Ball.of(space, Norm.L2, 1e6)
    assert float(checker.prove(-wide, wide, ball, lambda: None).margins) == -math.inf
    assert float(checker.prove(-wide / 2, wide / 2, ball, lambda: None).margins) > -math.inf


def test_margins_hold_where_no_errors_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verification.engine.certificate.checker._NAMED", 0)
    test_margins_of_all_points_of_a_leaf_lie_above_its_proof("translation", (1,), 0.1)
    graph, frames = _graph()
    space = _space("translation", (1,))
    lower, upper = torch.full((1, 2), -0.3, dtype=torch.float64), torch.full((1, 2), 0.3, dtype=torch.float64)
    ball = Ball.of(space, Norm.L2, 1e6)
    unnamed = Checker(graph, frames, space, 1).prove(lower, upper, ball, lambda: None)
    monkeypatch.undo()
    named = Checker(graph, frames, space, 1).prove(lower, upper, ball, lambda: None)
    assert float(unnamed.margins) < float(named.margins)


@pytest.mark.parametrize("space", ["translation", "blocks:2x2"])
def test_shifted_clips_tell_the_same_as_clips_of_each_leaf(space: str) -> None:
    graph, frames = _graph()
    imposed = Imposed(frames, _space(space, None))
    shifted = Shifted(graph, imposed)
    assert shifted.pays
    lower, upper = _boxes(imposed.space.dimensions, 0.3)
    fits = imposed.rectangles(lower, upper).lines().amax(1) <= 1
    lower, upper = lower[fits], upper[fits]
    known = {0: imposed.form(lower, upper)}
    for number in sorted(shifted.affine - {0}):
        node = graph.nodes[number - 1]
        known[number] = image_of(node.operation, [known[value] for value in node.inputs])
    for anchor, form in shifted.forms(lower, upper).items():
        torch.testing.assert_close(form.centre, known[anchor].centre, rtol=0, atol=1e-9)
        torch.testing.assert_close(form.slopes, known[anchor].slopes, rtol=0, atol=1e-9)
        torch.testing.assert_close(form.error, known[anchor].error, rtol=0, atol=1e-8)


def test_a_leaf_whose_numbers_are_too_large_is_not_proven() -> None:
    graph, frames = _graph()
    space = _space("translation", (1,))
    box = torch.full((1, 2), -0.1, dtype=torch.float64), torch.full((1, 2), 0.1, dtype=torch.float64)
    for bias in (1e200, float("inf"), float("nan")):
        network = Pooled().eval()
        nodes = list(export_graph(network, (1, 3, 3, 6, 8)).cast(torch.float64, torch.device("cpu")).nodes)
        last = nodes[-1].operation
        assert isinstance(last, Linear)
        last.bias[1] = bias
        spoilt = Graph(graph.input_shape, tuple(nodes))
        proof = Checker(spoilt, frames, space, 1).prove(*box, Ball.of(space, Norm.L2, 1.0), lambda: None)
        assert float(proof.margins) == -math.inf


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("space", ["translation", "affine"])
def test_the_ball_is_never_smaller_than_it_is(space: str, norm: Norm) -> None:
    torch.manual_seed(0)
    flow_space = _space(space, None)
    ball = Ball.of(flow_space, norm, 1.0)
    everywhere = torch.full((1, flow_space.dimensions), math.inf, dtype=torch.float64)
    lower, upper = ball.clipped(-everywhere, everywhere)
    for _ in range(200):
        a = torch.randn(flow_space.shape, dtype=torch.float64) * (torch.rand(flow_space.shape) < 0.5)
        if not bool(a.any()):
            continue
        a = (a / flow_space.norm(a, norm)).flatten()
        assert bool((a >= lower[0]).all() and (a <= upper[0]).all())
        assert float(ball.distances(a[None], a[None])) <= 1


@pytest.mark.parametrize("norm", list(Norm))
def test_no_point_of_a_box_in_the_ball_lies_below_the_least_of_a_functional(norm: Norm) -> None:
    torch.manual_seed(0)
    ball, losses = Ball(norm, torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64), 1.5), []
    for _ in range(40):
        centre, half = torch.randn(2, 1, 3, dtype=torch.float64).unbind(0)
        lower, upper = ball.clipped(centre - half.abs(), centre + half.abs())
        centre, half = (lower + upper) / 2, (upper - lower) / 2
        slopes = torch.randn(1, 4, 3, dtype=torch.float64)
        z = (2.6 * torch.rand(40000, 3, dtype=torch.float64) - 1.3).clamp(-1, 1)
        z = z[torch.linalg.vector_norm(ball.weights * (centre + half * z), ord=norm.p, dim=1) <= ball.radius]
        if len(z):
            true, bound = (z @ slopes[0].T).amin(0), ball.least(slopes, centre, half)[0]
            assert bool((true >= bound).all())
            losses.append(float(((true - bound) / slopes[0].abs().sum(1)).mean()))
    assert len(losses) > 20
    assert sorted(losses)[len(losses) // 2] < 0.1


def test_splits_cover_the_space_or_are_refused() -> None:
    torch.manual_seed(0)
    splits = [Split(0, 0, 0.0), Split(0, 1, -1.0), Split(1, 1, 2.0), Split(3, 0, 5.0)]
    lower, upper = leaves_of(splits, 2)
    points = 10 * torch.randn(500, 2, dtype=torch.float64)
    inside = ((points[:, None] >= lower) & (points[:, None] <= upper)).all(2)
    assert bool((inside.sum(1) == 1).all())
    for wrong in (Split(5, 0, 0.0), Split(-1, 0, 0.0), Split(0, 2, 0.0), Split(0, 0, 0.0), Split(0, 0, math.nan)):
        with pytest.raises(CoverError):
            leaves_of([*splits, wrong], 2)
