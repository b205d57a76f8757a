"""The checker's planes, ranges and extremes of single functions: nothing of the function's graph lies outside."""

import math

import pytest
import torch

from tests.engine.ball_referee import some_intervals, worst_curve, worst_maximum, worst_plane
from verification.engine.certificate.curves import curve_of
from verification.engine.certificate.forms import AffineForm, image_of
from verification.engine.certificate.planes import planes_of, range_of
from verification.engine.errors import UnsupportedOperationError
from verification.engine.network.operations.base import Operation
from verification.engine.network.operations.clamp import Clamp
from verification.engine.network.operations.exponential import Elu, Exp, Softplus
from verification.engine.network.operations.gate import Gate
from verification.engine.network.operations.gated import Gelu, Hardswish, Silu, TanhGelu
from verification.engine.network.operations.kinked import Kinked
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.power import Power
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.sigmoid import Sigmoid, Tanh
from verification.engine.network.operations.threshold import Threshold

ROUNDED = 1e-14  # what the tests' own sums may be off


def _number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


CURVES: list[Operation] = [
    Relu(),
    Relu(0.2),
    Kinked(_number(-1.0)),
    Kinked(_number(2.5)),
    Clamp(-0.3, 0.4),
    Clamp(-math.inf, 0.1),
    Clamp(0.5, math.inf),
    Clamp(0.5, 0.5),
    Sigmoid(),
    Tanh(),
    Gelu(),
    Silu(),
    Hardswish(),
    Exp(),
    Elu(0.7, 1.0, 1.0),
    Elu(-1.0, 2.0, 1.5),
    Elu(100.0, 50.0, 1.0),
    Softplus(1.0, 20.0),
    Softplus(2.0, 1.0),
    Softplus(0.5, -0.3),
    Softplus(1.0, math.inf),
    Power(2),
    Power(3),
    Power(7),
]


@pytest.mark.parametrize("operation", CURVES, ids=str)
def test_the_graph_lies_between_extremes_planes_and_range(operation: Operation) -> None:
    assert worst_curve(operation, seed=1) <= ROUNDED


@pytest.mark.parametrize(
    "operation", [Relu(0.2), Clamp(-0.3, 0.4), Sigmoid(), Tanh(), Gelu(), Silu(), Exp(), Power(2)], ids=str
)
def test_extremes_are_not_needlessly_far_apart(operation: Operation) -> None:
    """On short intervals hardly farther than the function's own values."""
    curve = curve_of(operation)
    assert curve is not None
    low, high = some_intervals(seed=2)
    short = (high - low <= 0.6) & (low.abs() < 4)
    low, high = low[short], high[short]
    value = torch.stack([operation.concrete(low + share * (high - low)) for share in torch.linspace(0, 1, 97).double()])
    least, most = curve.extremes(torch.zeros_like(low), low, high)
    assert bool((most - least <= (value.amax(0) - value.amin(0)) * 1.01 + 1e-3).all())


@pytest.mark.parametrize("span", [1e-9, 0.1, 1.0, 6.0, 300.0])
@pytest.mark.parametrize("operation", [Product(), Gate(squashed=True), Gate(squashed=False)], ids=str)
def test_the_graph_of_two_variables_lies_between_planes_and_range(operation: Operation, span: float) -> None:
    for seed in range(3):
        assert worst_plane(operation, span, seed) <= ROUNDED


@pytest.mark.parametrize(
    "operation",
    [
        MaxPool((2, 2), (2, 2), (0, 0), (1, 1)),
        MaxPool((3, 3), (2, 2), (1, 1), (1, 1)),
        MaxPool((3, 2), (2, 2), (1, 1), (1, 2), ceil=True),
        MaxPool((1, 1), (2, 3), (0, 0), (1, 1)),
    ],
    ids=str,
)
def test_a_maximum_lies_between_its_favourite_and_what_may_exceed_it(operation: MaxPool) -> None:
    for seed in range(3):
        assert worst_maximum(operation, seed) <= ROUNDED


def test_planes_on_boxes_that_broadcast_are_those_of_each_element() -> None:
    x = torch.rand(4, 1, dtype=torch.float64), 1 + torch.rand(4, 1, dtype=torch.float64)
    y = -torch.rand(1, 3, dtype=torch.float64), torch.rand(1, 3, dtype=torch.float64)
    together = planes_of(Gate(squashed=True), [x, y])
    for i in range(4):
        for j in range(3):
            alone = planes_of(Gate(squashed=True), [(x[0][i], x[1][i]), (y[0][:, j], y[1][:, j])])
            assert together.below[i, j] == alone.below[0]
            assert together.upper[1][i, j] == alone.upper[1][0]


@pytest.mark.parametrize(
    "operation", [Gelu(), Exp(), Elu(0.7, 1.0, 1.0), Softplus(2.0, 1.0), Power(3), Clamp(-0.3, 0.4)], ids=str
)
def test_the_whole_graph_of_a_curve_lies_in_its_form(operation: Operation) -> None:
    for first, last in [(-1.0, 1.0), (-8.0, 0.5), (-0.1, 9.0), (2.0, 2.5), (-70.0, 80.0), (-3.0, -2.9), (1.0, 1.0)]:
        x = torch.linspace(first, last, 4001, dtype=torch.float64)
        middle, half = (first + last) / 2, (last - first) / 2
        one = torch.ones(1, 1, dtype=torch.float64)
        form = image_of(operation, [AffineForm(middle * one, half * one.unsqueeze(1), 0 * one, False)])
        z = ((x - middle) / max(half, 1e-300)).clamp(-1, 1)
        value = operation.concrete(x)
        rest = (value - form.centre[0] - z * form.slopes[0, 0]).abs()
        assert bool((rest <= form.error[0] + 1e-14 * value.abs()).all())


def test_a_box_without_end_or_without_number_is_known_by_nothing() -> None:
    for end in (math.inf, math.nan, 1e308):
        low, high = torch.tensor([-end, 0.0], dtype=torch.float64), torch.tensor([end, end], dtype=torch.float64)
        for operation in (Exp(), Power(3), Gelu()):
            least, most = range_of(operation, [(low, high)])
            assert not bool((most - least < 1e100).any())


@pytest.mark.parametrize("operation", [TanhGelu(), Threshold(0.1, -0.3)], ids=str)
def test_a_function_without_a_rule_is_refused(operation: Operation) -> None:
    assert curve_of(operation) is None
    one = torch.ones(1, dtype=torch.float64)
    for rule in (planes_of, range_of):
        with pytest.raises(UnsupportedOperationError, match=f"cannot check: operation {type(operation).__name__}"):
            rule(operation, [(-one, one)])
