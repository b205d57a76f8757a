"""Lipschitz constants: no two clips of a ball differ by more, in any network, space, norm and arithmetic.

Mutations that must be noticed, one a test case:
  relu-decided       a ReLU that may switch counts as open
  sigmoid-ends       the slope of a sigmoid is looked at on the ends of its interval only
  pieces-first       the slopes of the first piece that is met count alone
  gate-other         the other factor of a gate is taken at its lower end
  product-swapped    each factor of a product is multiplied by its own interval
  times-diagonal     products of intervals pair lower with lower and upper with upper only
  pool-best          the element of a max-pool with the best lower bound has all the gradient
  affine-width       the width of a box of gradients is lost in a linear layer
  warp-row           slopes across are taken on the row of the pixel itself
  warp-near          the cells on the far side of the window are forgotten
  warp-later         a flow moves the next frame only
  kinks-free         widths of gradients are dropped on the way instead of being paid for
  rates-chord        a varied slope is taken for the one in its middle
  mixed-first        only one of the elements that can be the largest counts
  rates-still        derivatives of the warp do not vary
  norm-itself        the dual norm is the norm itself
  budget-unpaid      the radius that far slopes need is not paid for
  pixels-cut         rates of pixels are cut to [0, 1] like their values
  rivals-dropped     of a max-pool's elements only the favourite counts
  threshold-smooth   a threshold is taken for a function without a leap
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.engine.bounding import (
    HEIGHT,
    LENGTH,
    NETWORKS,
    WIDTH,
    Points,
    attacked,
    bounds_of,
    concrete_values,
    flow_region,
    make_frames,
    make_graph,
    radius_for,
)
from tests.engine.networks import Headed
from tests.engine.test_bounds_soundness import ELEMENTWISE, KINDS
from tests.engine.test_root_certificate import make_problem, never
from verification.engine.bounds import derivative, lipschitz, tangent, warp
from verification.engine.bounds.budget import shared_slope
from verification.engine.bounds.derivative import partial_derivatives
from verification.engine.bounds.lipschitz import (
    flow_constants,
    lipschitz_constants,
    lipschitz_radius,
    widest_lipschitz_radius,
)
from verification.engine.bounds.pixels import PixelBall
from verification.engine.bounds.region import Region
from verification.engine.errors import UnsupportedOperationError
from verification.engine.game.root import RootSearch
from verification.engine.network.export import export_graph
from verification.engine.network.graph import Graph, Node
from verification.engine.network.operations.base import Elementwise, Operation, Site
from verification.engine.network.operations.exponential import Softplus
from verification.engine.network.operations.gate import Gate
from verification.engine.network.operations.gated import Hardswish
from verification.engine.network.operations.linear import Linear
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.mixed import Mixed
from verification.engine.network.operations.piecewise import Piecewise
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.sigmoid import Sigmoid, SShaped
from verification.engine.network.operations.threshold import Threshold
from verification.engine.network.operations.varied import Varied
from verification.engine.perturbation import Norm
from verification.engine.perturbation import warp as moved
from verification.engine.perturbation.spaces import Dense
from verification.engine.relaxation import Form, Interval, Planes, Rounding

Patch = pytest.MonkeyPatch
PROOF = Rounding(rigorous=True)


def worst_rate(graph: Graph, region: Region, points: Points, seed: int, count: int = 6) -> float:
    """The largest certified share: what a margin changed, or how steep it was at a point, over what its constant allows."""
    label = seed % graph.output_shape[1]
    constants = lipschitz_constants(bounds_of(graph, region), label).double()
    found = [*points.draw(count, seed), *attacked(graph, points, label, seed, steps=4)]
    found += [a * share for a, share in zip(points.draw(count, seed + 1), (0.2, 0.5, 0.9) * count, strict=False)]
    margins, worst = [], 0.0
    for a in found:
        a = a.detach().requires_grad_()
        logits = graph(points.clip_of(a).unsqueeze(0))[0]
        margin = logits[label] - torch.cat([logits[:label], logits[label + 1 :]])
        margins.append(margin.detach())
        for value, most in zip(margin, constants.tolist(), strict=True):
            (gradient,) = torch.autograd.grad(value, a, retain_graph=True)
            if bool(gradient.any()):
                worst = max(worst, float((gradient * points.steepest(gradient)).sum()) / most)
    for (a, one), (b, other) in itertools.combinations(zip(found, margins, strict=True), 2):
        distance = float(points.norm_of(a.detach() - b.detach()))
        if distance > 1e-9:
            worst = max(worst, float(((one - other).abs() / distance / constants).nan_to_num(0).max()))
    return worst


#: Networks of which one norm is enough: they take long.
LONG = dict.fromkeys(("lstm", "lstm, stacked and bidirectional", "gru", "lstm with projection", "Cells"), Norm.LINF)


EVERY = [(name, norm) for name in NETWORKS for norm in Norm if LONG.get(name, norm) is norm]


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_no_margin_changes_faster_in_any_network(name: str, norm: Norm) -> None:
    graph, frames = make_graph(name, seed=3), make_frames(seed=5)
    number = list(NETWORKS).index(name) + list(Norm).index(norm)
    kind, size = KINDS[number % 3], (0.05, 1.0)[number // 3 % 2]
    region, points = flow_region(frames, kind, norm, radius_for(kind, norm, size), PROOF)
    assert worst_rate(graph, region, points, seed=7, count=4) <= 1 + 1e-9, (kind, size)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    name=st.sampled_from([name for name in NETWORKS if name not in LONG]),
    kind=st.sampled_from(KINDS),
    norm=st.sampled_from(list(Norm)),
    size=st.floats(0.001, 12.0),
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
    assert worst_rate(graph, region, points, seed) <= 1 + (1e-9 if rigorous else 1e-4)


class Weighted(nn.Module):
    """One logit is a weighted sum of the pixels inside a border that no displacement of the test crosses."""

    def __init__(self, border: int = 2) -> None:
        super().__init__()
        torch.manual_seed(3)
        weight = torch.randn(LENGTH, 3, HEIGHT, WIDTH)
        inside = torch.zeros_like(weight)
        inside[..., border:-border, border:-border] = 1
        self.weight = nn.Parameter(weight * inside)

    def _sum(self, clip: Tensor) -> Tensor:
        return clip.flatten(1) @ self.weight.reshape(-1, 1)

    def forward(self, clip: Tensor) -> Tensor:
        one = self._sum(clip)
        return torch.cat([one, 0 * one], 1)


class Kink(Weighted):
    """The same through a ReLU that switches at `middle`."""

    def __init__(self, middle: float) -> None:
        super().__init__()
        self.middle = middle

    def _sum(self, clip: Tensor) -> Tensor:
        return torch.relu(super()._sum(clip) - self.middle)


SLOPES = torch.tensor([[0.04, -0.01], [0.02, 0.03], [-0.03, 0.05]], dtype=torch.float64)  # per channel along x and y


def plane_frames() -> Tensor:
    """Every channel a plane: everywhere inside the warp has one derivative only, up to the rounding of float32."""
    y, x = torch.arange(HEIGHT, dtype=torch.float64).view(-1, 1), torch.arange(WIDTH, dtype=torch.float64)
    return torch.stack([0.4 + a * x / 2 + b * y / 2 for a, b in SLOPES.tolist()]).expand(LENGTH, -1, -1, -1).float()


def exact_constant(weight: Tensor, kind: str, norm: Norm) -> float:
    """By hand: the gradient is `sum_{t > s} sum_c A slope` for flow s, a constant, and its dual norm is the answer."""
    rates = torch.einsum("tchw,ci->tihw", weight.double(), SLOPES / 2)
    gradient = torch.stack([rates[s + 1 :].sum(0) for s in range(LENGTH - 1)])
    if kind == "dense":
        return float(norm.dual.of(gradient))
    scale = {Norm.L1: HEIGHT * WIDTH, Norm.L2: (HEIGHT * WIDTH) ** 0.5, Norm.LINF: 1}[norm]
    return float(norm.dual.of(gradient.sum((2, 3)))) / scale


def certified(module: nn.Module, kind: str, norm: Norm) -> float:
    """The constant of a module with two logits over planes, in a ball in which nothing crosses the border."""
    graph = export_graph(module, (1, LENGTH, 3, HEIGHT, WIDTH))
    region, _ = flow_region(plane_frames(), kind, norm, 0.2, PROOF)
    return float(lipschitz_constants(bounds_of(graph, region), 0))


@pytest.mark.parametrize("kind", ["dense", "translation"])
@pytest.mark.parametrize("norm", list(Norm))
def test_a_linear_network_on_planes_is_exact(norm: Norm, kind: str) -> None:
    module = Weighted()
    assert certified(module, kind, norm) == pytest.approx(exact_constant(module.weight.detach(), kind, norm), rel=3e-5)


def at_the_kink(norm: Norm) -> tuple[float, float]:
    """The certified constant of a ReLU in the middle of its two branches, and the exact one."""
    plain = Weighted()
    with torch.no_grad():
        middle = float(plain._sum(plane_frames().unsqueeze(0)))
    return certified(Kink(middle), "dense", norm), exact_constant(plain.weight.detach(), "dense", norm)


@pytest.mark.parametrize("norm", list(Norm))
def test_a_switching_relu_is_exact_too(norm: Norm) -> None:
    proven, exact = at_the_kink(norm)
    assert proven == pytest.approx(exact, rel=3e-5)


def test_the_last_digit_is_rounded_up() -> None:
    """Against rational arithmetic: Hoelder's bound of a linear network over pixels in L-infinity is a plain sum."""
    module = Weighted()
    graph = export_graph(module, (1, LENGTH, 3, HEIGHT, WIDTH))
    region, _ = flow_region(make_frames(1), "pixels", Norm.LINF, 0.1, PROOF)
    exact = sum(abs(Fraction(x)) for x in module.weight.detach().double().flatten().tolist())
    proven = Fraction(float(lipschitz_constants(bounds_of(graph, region), 0)))
    assert exact <= proven <= exact * (1 + Fraction(1, 10**9))


def test_float32_agrees_with_the_proof() -> None:
    graph, frames = make_graph("conv3d", 1), make_frames(2)
    both = []
    for rigorous in (True, False):
        region, _ = flow_region(frames, "dense", Norm.L2, 0.3, Rounding(rigorous))
        both.append(lipschitz_constants(bounds_of(graph, region), 0).double())
    assert torch.allclose(both[0], both[1], rtol=1e-4)


def test_constants_do_not_depend_on_the_size_of_batches() -> None:
    graph, frames = make_graph("conv2d deep", 1), make_frames(2)
    region, _ = flow_region(frames, "dense", Norm.LINF, 0.1, PROOF)
    whole, pieces = (lipschitz_constants(bounds_of(graph, region, memory=m), 1) for m in (1 << 21, 2000))
    assert torch.allclose(whole, pieces, rtol=1e-9)


def test_paying_on_the_way_is_never_worse_than_carrying_boxes() -> None:
    graph, frames = make_graph("gru", 3), make_frames(5)
    region, _ = flow_region(frames, "dense", Norm.LINF, 0.1, PROOF)
    bounds = bounds_of(graph, region)
    carried = lipschitz._constants(bounds, bounds.margin_rows(0), [], len(graph.nodes))
    assert bool((lipschitz_constants(bounds, 0) < carried / 2).all())


def test_a_small_ball_has_nearly_the_gradient_of_its_centre() -> None:
    graph, frames = make_graph("lstm", 3), make_frames(5)
    region, points = flow_region(frames, "pixels", Norm.L2, 1e-6, PROOF)
    a = torch.zeros(points.shape, dtype=torch.float64, requires_grad=True)
    logits = graph(points.clip_of(a).unsqueeze(0))[0]
    (gradient,) = torch.autograd.grad(logits[0] - logits[1], a)
    constant = float(lipschitz_constants(bounds_of(graph, region), 0)[0])
    assert float(gradient.norm()) <= constant <= float(gradient.norm()) * 1.001


BOTH = [(network, norm, space) for network in ("conv3d", "max pool") for norm in Norm for space in ("dense", "pixels")]


@pytest.mark.parametrize(("network", "norm", "space"), [*BOTH, ("lstm", Norm.LINF, "dense")])
def test_no_attack_succeeds_within_the_second_lower_bound(network: str, norm: Norm, space: str) -> None:
    problem = make_problem(network, norm, space)
    search = RootSearch(problem, limit=None)
    while not search.lower:
        search.step(None, never)
    radius = lipschitz_radius(problem, search.lower * 2, never)
    assert 0 < radius <= search.lower * 2
    _, points = flow_region(problem.frames, space, norm, radius, PROOF)
    for a in [*attacked(problem.graph, points, problem.label, seed=1, steps=40), *points.draw(60, seed=2)]:
        with torch.no_grad():
            assert int(problem.logits(a).argmax()) == problem.label


def test_the_second_lower_bound_can_beat_the_first() -> None:
    """In L1 the constants ask for the steepest pixel, where linear bounds add up what relaxing costs at every neuron."""
    problem = make_problem("residual", Norm.L1)
    search = RootSearch(problem, limit=None)
    while not search.finished:
        search.step(None, never)
    radius = widest_lipschitz_radius(problem, search.lower, never)
    assert radius > search.lower * 1.2
    _, points = flow_region(problem.frames, "dense", Norm.L1, radius, PROOF)
    for a in [*attacked(problem.graph, points, problem.label, seed=1, steps=40), *points.draw(60, seed=2)]:
        with torch.no_grad():
            assert int(problem.logits(a).argmax()) == problem.label


def test_where_the_first_is_better_the_second_says_nothing() -> None:
    problem = make_problem("conv3d", Norm.LINF)
    search = RootSearch(problem, limit=None)
    while not search.finished:
        search.step(None, never)
    assert widest_lipschitz_radius(problem, search.lower, never) == 0.0


def test_the_largest_ball_of_all_has_a_constant_for_every_flow() -> None:
    problem = make_problem("conv3d", Norm.L2)
    everywhere, nearby = (flow_constants(problem, radius, never) for radius in (1e308, 0.1))
    assert bool((everywhere >= nearby).all() & everywhere.isfinite().all())


def enlarged(node: Node) -> Node:
    """Weights that no module can have, because float32 ends far below."""
    if not isinstance(node.operation, Linear):
        return node
    return replace(node, operation=replace(node.operation, weight=node.operation.weight * 1e114))


def test_values_beyond_what_rounding_allows_for_have_no_constant() -> None:
    graph = export_graph(Weighted(), (1, LENGTH, 3, HEIGHT, WIDTH))
    graph = replace(graph, nodes=tuple(enlarged(node) for node in graph.nodes))
    region, _ = flow_region(plane_frames(), "pixels", Norm.L2, 1.0, PROOF)
    assert math.isinf(float(lipschitz_constants(bounds_of(graph, region), 0)))


class Softer(Weighted):
    def _sum(self, clip: Tensor) -> Tensor:
        return nn.functional.softplus(super()._sum(clip), beta=1.0, threshold=1.0)


def test_a_function_that_jumps_has_no_constant() -> None:
    """torch's softplus falls to the identity at its threshold."""
    slopes = Softplus(1.0, 1.0).derivatives(PROOF, Interval(torch.tensor([0.5, 1.5]), torch.tensor([1.5, 2.0])))[0]
    assert slopes.lower.tolist() == [-math.inf, pytest.approx(1.0)]
    graph = export_graph(Softer(), (1, LENGTH, 3, HEIGHT, WIDTH))
    region, _ = flow_region(plane_frames(), "pixels", Norm.L2, 1.0, PROOF)
    assert math.isinf(float(lipschitz_constants(bounds_of(graph, region), 0)))


class Unknown(Relu):
    def derivatives(self, rounding: Rounding, *boxes: Interval) -> tuple[Interval, ...]:
        return Elementwise.derivatives(self, rounding, *boxes)


def test_an_operation_without_a_rule_is_refused_by_name() -> None:
    box = Interval(torch.zeros(1), torch.ones(1))
    site = Site(((1,),), (box,), PROOF)
    with pytest.raises(UnsupportedOperationError, match="Unknown"):
        Unknown().jacobian(box, site)
    with pytest.raises(UnsupportedOperationError, match="Relu"):
        Operation.jacobian(Relu(), box, site)


def worst_slope(operation: Elementwise, arity: int, span: float, seed: int = 1) -> float:
    """How far the change of a function between two points of random boxes leaves what its derivatives allow."""
    generator = torch.Generator().manual_seed(seed)

    def uniform() -> Tensor:
        return torch.rand(400, generator=generator, dtype=torch.float64)

    ends = [(torch.stack([uniform(), uniform()]) - 0.5) * span for _ in range(arity)]
    boxes = [Interval(pair.amin(0), pair.amax(0)) for pair in ends]
    slopes = operation.derivatives(PROOF, *boxes)
    worst = -math.inf
    for step in range(60):
        shares = [uniform() if step % 2 else (uniform() > 0.5).double() for _ in range(arity)]
        x = [b.lower + s * (b.upper - b.lower) for b, s in zip(boxes, shares, strict=True)]
        near = [(s + (uniform() - 0.5) * 10.0 ** -(step % 4)).clamp(0, 1) for s in shares]
        y = [b.lower + s * (b.upper - b.lower) for b, s in zip(boxes, near, strict=True)]
        change = operation.concrete(*x) - operation.concrete(*y)
        # Infinite slopes times steps of zero say nothing, and change nothing.
        products = [torch.stack([s.lower * (a - b), s.upper * (a - b)]) for s, a, b in zip(slopes, x, y, strict=True)]
        allowed = [pair.nan_to_num(0.0) for pair in products]
        low, high = sum(pair.amin(0) for pair in allowed), sum(pair.amax(0) for pair in allowed)
        scale = 1 + operation.concrete(*x).abs() + operation.concrete(*y).abs()
        worst = max(worst, float(((low - change) / scale).max()), float(((change - high) / scale).max()))
    return worst


@pytest.mark.parametrize(("operation", "arity"), ELEMENTWISE, ids=str)
@pytest.mark.parametrize("span", [1e-3, 1.0, 8.0, 60.0])
def test_functions_change_as_fast_as_their_derivatives_allow(operation: Elementwise, arity: int, span: float) -> None:
    assert worst_slope(operation, arity, span) <= 1e-13


def worst_varied(seed: int = 2) -> float:
    """How far sums of products leave the planes of `Varied`, over random slopes and boxes."""
    generator = torch.Generator().manual_seed(seed)

    def interval() -> Interval:
        ends = torch.randn((2, 500), generator=generator, dtype=torch.float64)
        return Interval(ends.amin(0), ends.amax(0))

    slopes, boxes = (interval(), interval()), (interval(), interval())
    planes = Varied(slopes).planes(PROOF, *boxes)
    box = Varied(slopes).interval(PROOF, *boxes)
    worst = -math.inf
    for step in range(80):
        shares = torch.rand((4, 500), generator=generator, dtype=torch.float64)
        shares = shares.round() if step % 2 else shares
        s, u = (
            [b.lower + w * (b.upper - b.lower) for b, w in zip(pair, part, strict=True)]
            for pair, part in zip((slopes, boxes), (shares[:2], shares[2:]), strict=True)
        )
        value = s[0] * u[0] + s[1] * u[1]
        low = sum((a * x for a, x in zip(planes.lower_slopes, u, strict=True)), planes.lower_intercept)
        high = sum((a * x for a, x in zip(planes.upper_slopes, u, strict=True)), planes.upper_intercept)
        for excess in (low - value, value - high, box.lower - value, value - box.upper):
            worst = max(worst, float(excess.max()))
    return worst


def test_planes_of_varied_slopes_hold() -> None:
    assert worst_varied() <= 1e-14


def worst_mixed(seed: int = 5) -> float:
    """How far a weighted mean of possible elements leaves the interval and the constants of `Mixed`."""
    generator = torch.Generator().manual_seed(seed)
    pool, shape = MaxPool((3, 2), (2, 1), (1, 0), (1, 2), ceil=True), (1, 2, 6, 7)

    def box() -> Interval:
        ends = torch.randn((2, *shape), generator=generator, dtype=torch.float64)
        return Interval(ends.amin(0), ends.amax(0))

    values, rates = box(), box()
    mixed = Mixed(pool, pool.possible(values))
    interval = mixed.interval(PROOF, rates)
    form = Form.identity(pool.output_shape(shape), 1, torch.float64, torch.device("cpu")).with_negative()
    lowest = mixed.backward(form, Site((shape,), (rates,), PROOF)).constant
    assert lowest is not None
    ends = torch.stack([lowest[:, :2], -lowest[:, 2:]]).view(2, *interval.lower.shape[2:], 2).movedim(-1, 1)
    worst = -math.inf
    for _ in range(60):
        x, y = (
            values.lower + torch.rand(shape, generator=generator).round() * (values.upper - values.lower)
            for _ in range(2)
        )
        rate = rates.lower + torch.rand(shape, generator=generator).round() * (rates.upper - rates.lower)
        for way in (0.0, 0.3, 1.0):  # the weights of a maximum between two points are those of its gradient there
            point = (x + way * (y - x)).requires_grad_()
            _, change = torch.autograd.functional.jvp(pool.concrete, point, rate)
            for low, high in ((interval.lower[0], interval.upper[0]), (ends[0], ends[1])):
                worst = max(worst, float((low - change[0]).max()), float((change[0] - high).max()))
    return worst


def test_means_of_pooled_rates_hold() -> None:
    assert worst_mixed() <= 1e-12


def worst_derivative(reach: float, seed: int = 3) -> float:
    """How far the change of a moved picture between two displacements leaves what the derivatives within reach allow."""
    generator = torch.Generator().manual_seed(seed)
    frame = make_frames(seed)[1].double()
    box = partial_derivatives(frame, reach)
    worst = -math.inf
    for step in range(40):
        pair = torch.rand((2, 1, 2, HEIGHT, WIDTH), generator=generator, dtype=torch.float64) * 2 - 1
        pair = (pair.sign() if step % 4 == 0 else pair) * reach
        if step % 2:
            pair[1] = pair[0] + (pair[1] - pair[0]) * 1e-3
        one, other = (moved(frame[None], d)[0] for d in pair)
        change, step_by = one - other, -(pair[0, 0] - pair[1, 0]).unsqueeze(1)  # (2, 1, h, w)
        allowed = box.times(Interval(step_by, step_by), 0.0)
        low, high = allowed.lower.sum(0), allowed.upper.sum(0)
        scale = step_by.abs().amax(0)
        worst = max(worst, float(((low - change) / scale).max()), float(((change - high) / scale).max()))
    return worst


@pytest.mark.parametrize("reach", [0.01, 0.3, 1.0, 2.5, 7.2, 20.0])
def test_moved_pictures_change_as_fast_as_the_derivatives_within_reach(reach: float) -> None:
    assert worst_derivative(reach) <= 1e-8  # the test's own rounding, over small steps


def worst_pull(operation: Operation, *shapes: tuple[int, ...]) -> float:
    """How far the exact pulled-back gradient leaves its box, for members of random boxes of values and gradients."""
    generator = torch.Generator().manual_seed(4)

    def interval(shape: tuple[int, ...]) -> Interval:
        ends = torch.randn((2, *shape), generator=generator, dtype=torch.float64)
        return Interval(ends.amin(0), ends.amax(0))

    boxes = tuple(interval(shape) for shape in shapes)
    gradient = interval((2, *operation.output_shape(*shapes)))
    pulled = operation.jacobian(gradient, Site(shapes, boxes, PROOF))
    worst = -math.inf
    for _ in range(60):
        x, g = (
            [b.lower + torch.rand(b.lower.shape, generator=generator).round() * (b.upper - b.lower) for b in group]
            for group in (boxes, (gradient,))
        )
        inputs = [value.requires_grad_() for value in x]
        for row in range(2):
            exact = torch.autograd.grad(operation.concrete(*inputs), inputs, g[0][row])
            for box, part in zip(pulled, exact, strict=True):
                worst = max(worst, float((box.lower[row] - part).max()), float((part - box.upper[row]).max()))
    return worst


PULLS: dict[str, tuple[Operation, tuple[tuple[int, ...], ...]]] = {
    "linear": (Linear(torch.randn(6, 4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)), ((3, 6),)),
    "pool": (MaxPool((3, 2), (2, 1), (1, 0), (1, 2), ceil=True), ((1, 2, 6, 7),)),
    "product": (Product(), ((5, 8), (5, 8))),
}


@pytest.mark.parametrize("name", list(PULLS))
def test_gradients_stay_in_their_boxes(name: str) -> None:
    operation, shapes = PULLS[name]
    assert worst_pull(operation, *shapes) <= 1e-13


def worst_contenders(seed: int = 3) -> float:
    """How far the maximum of a window exceeds that of the elements with a part in its changes, over points of the region."""
    graph, frames = make_graph("max pool", seed), make_frames(seed)
    region, points = flow_region(frames, "dense", Norm.LINF, 0.3, PROOF)
    bounds, worst = bounds_of(graph, region), -math.inf
    for a in points.draw(30, seed):
        values = concrete_values(graph, points.clip_of(a))
        for node, site in zip(graph.nodes, bounds.sites, strict=True):
            if isinstance(node.operation, MaxPool):
                elements = node.operation.windows(values[node.inputs[0]])
                kept = elements.masked_fill(~node.operation.contenders(site), -math.inf)
                worst = max(worst, float((elements.amax(-1) - kept.amax(-1)).max()))
    return worst


def test_what_linear_bounds_exclude_has_no_part_in_a_maximum() -> None:
    assert worst_contenders() <= 1e-12
    graph = make_graph("max pool", 3)
    region, _ = flow_region(make_frames(3), "dense", Norm.LINF, 0.3, PROOF)
    kept = possible = 0
    for node, site in zip(graph.nodes, bounds_of(graph, region).sites, strict=True):
        if isinstance(node.operation, MaxPool):
            kept += int(node.operation.contenders(site).sum())
            possible += int(node.operation.possible(site.boxes[0]).sum())
    assert kept < possible


class Resizing(Headed):
    """The resizing, cumulative and thresholding operations, without a threshold that leaps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, stride=2)
        self.parts = nn.ModuleList(
            [nn.Upsample(scale_factor=(1.5, 0.7)), nn.Upsample(size=(3, 7), mode="bilinear"), nn.Threshold(0.1, 0.1)]
        )

    def features(self, clip: Tensor) -> Tensor:
        x = self.conv(clip[0])
        parts = [
            *(part(x) for part in self.parts),
            nn.functional.rrelu(x),
            x.cumsum(-1),
            x.cumsum(0),
            x.unfold(2, 2, 1),
        ]
        return torch.cat([torch.tanh(part.flatten()) for part in [*parts, x.expm1()]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", list(Norm))
def test_resizing_sums_and_thresholds_have_constants(norm: Norm, kind: str) -> None:
    torch.manual_seed(4)
    graph = export_graph(Resizing().with_head().eval(), (1, LENGTH, 3, HEIGHT, WIDTH))
    region, points = flow_region(make_frames(5), kind, norm, radius_for(kind, norm, 0.5), PROOF)
    assert bool(lipschitz_constants(bounds_of(graph, region), 0).isfinite().all())
    assert worst_rate(graph, region, points, seed=6) <= 1 + 1e-9


class Leap(Weighted):
    limit = 0.0

    def _sum(self, clip: Tensor) -> Tensor:
        return nn.functional.threshold(super()._sum(clip), self.limit, 7.0)


def test_a_threshold_has_a_constant_where_it_does_not_leap() -> None:
    module = Leap()
    with torch.no_grad():
        middle = float(Weighted._sum(module, plane_frames().unsqueeze(0)))
    region, _ = flow_region(plane_frames(), "pixels", Norm.L2, 1.0, PROOF)
    for limit, finite in ((-1e6, True), (middle, False), (1e6, True)):
        module.limit = limit
        graph = export_graph(module, (1, LENGTH, 3, HEIGHT, WIDTH))
        assert math.isfinite(float(lipschitz_constants(bounds_of(graph, region), 0))) == finite
    falls, rises = Threshold(0.2, 1.0), Threshold(0.2, -1.0)
    box = Interval(torch.tensor([0.0, 0.2, 0.3]), torch.tensor([0.2, 0.3, 0.4]))
    assert torch.isinf(falls.derivatives(PROOF, box)[0].lower).tolist() == [False, True, False]
    assert torch.isinf(rises.derivatives(PROOF, box)[0].upper).tolist() == [False, True, False]


def relu_decided(patch: Patch) -> None:
    one = torch.ones_like
    patch.setattr(Relu, "derivatives", lambda self, _, box: (Interval(one(box.lower), one(box.lower)),))


def sigmoid_ends(patch: Patch) -> None:
    def wrong(self: SShaped, rounding: Rounding, box: Interval) -> tuple[Interval, ...]:
        ends = torch.stack([self.slope(box.lower), self.slope(box.upper)])
        return (Interval(ends.amin(0), ends.amax(0)),)

    patch.setattr(SShaped, "derivatives", wrong)


def pieces_first(patch: Patch) -> None:
    right = Piecewise.derivatives

    def wrong(self: Piecewise, rounding: Rounding, box: Interval) -> tuple[Interval, ...]:
        return right(self, rounding, Interval(box.lower, box.lower))

    patch.setattr(Piecewise, "derivatives", wrong)


def gate_other(patch: Patch) -> None:
    right = Gate._factors

    def wrong(self: Gate, rounding: Rounding, *boxes: Interval) -> tuple[Interval, Interval]:
        opened, other = right(self, rounding, *boxes)
        return opened, Interval(other.lower, other.lower)

    patch.setattr(Gate, "_factors", wrong)


def product_swapped(patch: Patch) -> None:
    patch.setattr(Product, "derivatives", lambda self, rounding, *boxes: boxes)


def times_diagonal(patch: Patch) -> None:
    def wrong(self: Interval, other: Interval, relative: float) -> Interval:
        ends = torch.stack([self.lower * other.lower, self.upper * other.upper])
        return Interval(ends.amin(0), ends.amax(0))

    patch.setattr(Interval, "times", wrong)


def pool_best(patch: Patch) -> None:
    right = MaxPool.jacobian

    def wrong(self: MaxPool, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        lower = site.boxes[0].lower
        return right(self, gradient, Site(site.shapes, (Interval(lower, lower),), site.rounding))

    patch.setattr(MaxPool, "jacobian", wrong)


def affine_width(patch: Patch) -> None:
    right = Linear.jacobian

    def wrong(self: Linear, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        return right(self, Interval(gradient.centre, gradient.centre), site)

    patch.setattr(Linear, "jacobian", wrong)


def warp_row(patch: Patch) -> None:
    patch.setattr(derivative, "knots", lambda reach: [0.0])


def warp_near(patch: Patch) -> None:
    right = derivative._greatest
    patch.setattr(derivative, "_greatest", lambda steps, n, axis: right(steps, max(n - 1, 1), axis))


def warp_later(patch: Patch) -> None:
    patch.setattr(derivative, "_from_each_flow_on", lambda rates: rates[:, 1:])


def kinks_free(patch: Patch) -> None:
    right = lipschitz._paid
    patch.setattr(lipschitz, "_paid", lambda *arguments: (right(*arguments)[0], 0.0))


def rates_chord(patch: Patch) -> None:
    right = Varied.planes

    def wrong(self: Varied, rounding: Rounding, *boxes: Interval) -> Planes:
        return right(Varied(tuple(Interval(s.centre, s.centre) for s in self.slopes)), rounding, *boxes)

    patch.setattr(Varied, "planes", wrong)


def mixed_first(patch: Patch) -> None:
    right = MaxPool.extremes

    def wrong(self: MaxPool, box: Interval, possible: Tensor) -> Interval:
        first = torch.zeros_like(possible)
        first.scatter_(-1, possible.float().argmax(-1, keepdim=True), True)
        return right(self, box, first)

    patch.setattr(MaxPool, "extremes", wrong)


def rates_still(patch: Patch) -> None:
    right = partial_derivatives

    def wrong(frame: Tensor, reach: float) -> Interval:
        centre = right(frame, reach).centre
        return Interval(centre, centre)

    patch.setattr(tangent, "partial_derivatives", wrong)


def norm_itself(patch: Patch) -> None:
    right = Dense.support
    patch.setattr(Dense, "support", lambda self, g, k, c, norm: right(self, g, k, c, norm.dual))


def budget_unpaid(patch: Patch) -> None:
    patch.setattr(warp, "shared_slope", lambda slopes, budgets, rounding: shared_slope(slopes, budgets, rounding) / 2)


def pixels_cut(patch: Patch) -> None:
    patch.setattr(tangent.PixelRates, "interval", PixelBall.interval)


def rivals_dropped(patch: Patch) -> None:
    def wrong(self: MaxPool, site: Site) -> Tensor:
        middle = self.windows(site.boxes[0].centre)
        return torch.zeros_like(middle, dtype=torch.bool).scatter(-1, middle.argmax(-1, keepdim=True), True)

    patch.setattr(MaxPool, "contenders", wrong)


def threshold_smooth(patch: Patch) -> None:
    patch.setattr(Threshold, "derivatives", Piecewise.derivatives)


def _too_small(norm: Norm) -> float:
    """By how much the certified constant of a linear network on planes is too small, relatively."""
    module = Weighted()
    return 1 - certified(module, "dense", norm) / exact_constant(module.weight.detach(), "dense", norm)


def _kink_too_small() -> float:
    proven, exact = at_the_kink(Norm.LINF)
    return 1 - proven / exact


def _rates_too_small(kind: str = "dense") -> float:
    """The same referee for rates alone: a pixel's true change between two clips against the box of its rates."""
    region, points = flow_region(make_frames(5), kind, Norm.LINF, 0.4, PROOF)
    box = tangent.rates_of(region).interval()
    pairs = [points.draw(2, seed)[:2] for seed in range(20)]
    worst = -math.inf
    for a, b in pairs:
        b = a + (b - a) * 1e-3
        change = (points.clip_of(a) - points.clip_of(b)) / float(points.norm_of(a - b))
        worst = max(worst, float((change - box.upper[0]).max()), float((box.lower[0] - change).max()))
    return worst


#: Mutation, and a referee whose answer is at most about zero while all is right.
MUTATIONS: list[tuple[Callable[[Patch], None], Callable[[], float]]] = [
    (relu_decided, lambda: worst_slope(Relu(), 1, 8.0)),
    (sigmoid_ends, lambda: worst_slope(Sigmoid(), 1, 8.0)),
    (pieces_first, lambda: worst_slope(Hardswish(), 1, 8.0)),
    (gate_other, lambda: worst_slope(Gate(True), 2, 8.0)),
    (product_swapped, lambda: worst_slope(Product(), 2, 8.0)),
    (times_diagonal, lambda: worst_pull(PULLS["product"][0], *PULLS["product"][1])),
    (pool_best, lambda: worst_pull(PULLS["pool"][0], *PULLS["pool"][1])),
    (affine_width, lambda: worst_pull(PULLS["linear"][0], *PULLS["linear"][1])),
    (warp_row, lambda: worst_derivative(2.5)),
    (warp_near, lambda: worst_derivative(2.5)),
    (warp_later, lambda: _too_small(Norm.LINF)),
    (kinks_free, _kink_too_small),
    (rates_chord, worst_varied),
    (mixed_first, worst_mixed),
    (rates_still, _rates_too_small),
    (norm_itself, lambda: _too_small(Norm.LINF)),
    (budget_unpaid, lambda: _too_small(Norm.L2)),
    (pixels_cut, lambda: _rates_too_small("pixels")),
    (rivals_dropped, worst_contenders),
    (threshold_smooth, lambda: worst_slope(Threshold(0.2, -0.4), 1, 8.0)),
]


@pytest.mark.parametrize(("mutation", "referee"), MUTATIONS, ids=[case[0].__name__ for case in MUTATIONS])
def test_a_wrong_rule_is_caught(
    mutation: Callable[[Patch], None], referee: Callable[[], float], monkeypatch: Patch
) -> None:
    assert referee() <= 3e-5  # the pictures are float32
    mutation(monkeypatch)
    assert referee() > 1e-3
