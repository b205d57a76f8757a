"""Planes that touch the clip, and what values exceed them by where the pixels share the radius (docs/bounds.md, section 9)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.engine.bounding import (
    TOLERANCE,
    Points,
    bounds_of,
    concrete_values,
    flow_region,
    make_frames,
    make_graph,
    worst_violation,
)
from verification.engine.bounds import places, warp
from verification.engine.bounds.joint import Excess, Slopes, joint_fall, joint_maximum
from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.places import Place, Places, Side
from verification.engine.network.export import export_graph
from verification.engine.network.operations import base, max_pool, relu
from verification.engine.network.operations.base import Site
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Cone, Form, Interval, Rounding

#: Networks with layers that can touch.
TOUCHING = (
    "conv3d",
    "conv2d deep",
    "max pool",
    "pooled convolutions",
    "pooled strides",
    "pool after pool",
    "max pool 3d",
    "side by side",
)
#: Every displacement stays below a quarter of a pixel.
RADIUS = {Norm.L1: 0.2, Norm.L2: 0.1}
#: Times `RADIUS`: in L2 slopes then depend on what a pixel spends.
FAR = 12.0


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planes touch wherever they can, however few places there are."""
    monkeypatch.setattr(places, "_MANY", 1e-9)


def touched(linear: LinearBounds) -> int:
    return sum(site.touches for site in linear.sites)


@pytest.mark.parametrize("norm", RADIUS, ids=lambda norm: norm.name)
@pytest.mark.parametrize("name", TOUCHING)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.usefixtures("everywhere")
def test_no_point_of_the_ball_leaves_the_bounds(name: str, norm: Norm, seed: int) -> None:
    frames, graph = make_frames(seed), make_graph(name, seed, 3.0)
    for scale in (0.2, 1.0, FAR):
        region, points = flow_region(frames, "dense", norm, RADIUS[norm] * scale, Rounding(rigorous=True))
        assert touched(bounds_of(graph, region)) > 0
        assert worst_violation(graph, region, points, seed) <= TOLERANCE[True]


@pytest.mark.parametrize("norm", RADIUS, ids=lambda norm: norm.name)
@pytest.mark.parametrize("name", TOUCHING)
@pytest.mark.usefixtures("everywhere")
def test_values_stay_in_their_cones_at_every_share_of_the_radius(name: str, norm: Norm) -> None:
    frames, graph = make_frames(3), make_graph(name, 3, 3.0)
    for scale in (1.0, FAR):
        region, points = flow_region(frames, "dense", norm, RADIUS[norm] * scale, Rounding(rigorous=True))
        linear = bounds_of(graph, region)
        for share in (0.0, 0.03, 0.3, 0.7, 1.0):
            assert outside_cones(linear, points, share) <= TOLERANCE[True]


def following(linear: LinearBounds, points: Points) -> list[Tensor]:
    """Coordinates that raise or lower one element of a value with a cone as steeply as its gradient says."""
    generator = torch.Generator().manual_seed(3)
    found = []
    for number, cone in enumerate(linear.cones):
        if cone is None or number == 0:
            continue
        for sign in (1, -1):
            a = torch.zeros(points.shape, dtype=torch.float64).add(1e-9).requires_grad_()
            values = concrete_values(linear.graph, points.clip_of(a))[number].flatten()
            if not values.requires_grad:  # a constant
                continue
            element = int(torch.randint(len(values), (), generator=generator))
            (gradient,) = torch.autograd.grad(sign * values[element], a, allow_unused=True)
            if gradient is not None and bool(gradient.any()):
                found.append(points.onto(gradient))
    return found


def outside_cones(linear: LinearBounds, points: Points, share: float) -> float:
    """How far values leave their cones when this share of the radius is spent."""
    worst = -float("inf")
    for a in [*points.draw(30, 5), *following(linear, points)]:
        values = concrete_values(linear.graph, points.clip_of(a * share))
        for cone, value in zip(linear.cones, values, strict=True):
            if cone is None:
                continue
            lower = (1 - share) * cone.apex.lower + share * cone.base.lower
            upper = (1 - share) * cone.apex.upper + share * cone.base.upper
            worst = max(worst, float((lower - value).max()), float((value - upper).max()))
    return worst


@pytest.mark.parametrize("times", [1.0, FAR])
@pytest.mark.parametrize("norm", RADIUS, ids=lambda norm: norm.name)
@pytest.mark.usefixtures("everywhere")
def test_relaxations_hold_in_smaller_balls(norm: Norm, times: float) -> None:
    frames, graph = make_frames(4), make_graph("pooled convolutions", 4, 3.0)
    rounding = Rounding(rigorous=True)
    radius = RADIUS[norm] * times
    region, _ = flow_region(frames, "dense", norm, radius, rounding)
    linear = bounds_of(graph, region)
    label = int(graph(frames.double().unsqueeze(0)).argmax())
    before = linear.margins(label)
    for scale in (0.9, 0.5, 0.3, 0.06, 0.01):
        smaller, points = flow_region(frames, "dense", norm, radius * scale, rounding)
        margins = linear.within(smaller).margins(label)
        assert bool((margins >= before).all())
        before = margins
        for a in points.draw(20, 6):
            logits = graph(points.clip_of(a).unsqueeze(0))[0]
            others = torch.cat([logits[:label], logits[label + 1 :]])
            assert bool((logits[label] - others >= margins - TOLERANCE[True]).all())


def test_other_norms_and_spaces_have_no_cones() -> None:
    frames = make_frames(5)
    for space, norm in (("dense", Norm.LINF), ("translation", Norm.L2), ("pixels", Norm.L2)):
        region, _ = flow_region(frames, space, norm, 0.01, Rounding(rigorous=True))
        assert region.cone() is None


# --- the joint maximum of a linear part and its excesses ---------------------------------------------------------------

HEIGHT, WIDTH = 7, 9


def side(axis: int, length: int, size: int, step: int) -> Side:
    first = torch.arange(-1, length - 1, step)
    return Side(axis, first.clamp(min=0), (first + size).clamp(max=length), length)


def hinges(rise: Tensor, gap: Tensor, spent: Tensor | float) -> Tensor:
    return (rise * spent - gap).clamp(min=0).sum(0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    radius=st.floats(1e-3, 1e2),
    size=st.integers(1, 5),
    step=st.integers(1, 4),
    weight=st.floats(0.0, 5.0),
    shrink=st.sampled_from([1.0, 0.8, 0.3, 0.05]),
    zones=st.sampled_from([(), (0.2, 0.45), (0.7,)]),
)
def test_no_division_of_the_radius_falls_further(
    seed: int, radius: float, size: int, step: int, weight: float, shrink: float, zones: tuple[float, ...]
) -> None:
    """For every division of the radius between the pixels, in L2 and in L1, among them the worst that ascent finds."""
    torch.manual_seed(seed)
    grids = [Places(side(2, HEIGHT, n, k), side(3, WIDTH, n, k)) for n, k in ((size, step), (5, 3))]
    form = Form(
        torch.zeros((1, 1, 1, 1, 1, HEIGHT, WIDTH)), torch.zeros((1, 5), dtype=torch.int64), (1, 1, 1, HEIGHT, WIDTH)
    )
    budgets = [radius * share for share in (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)]
    rates = (torch.rand((len(zones) + 1, 1, 1, HEIGHT, WIDTH), dtype=torch.float64) ** 3).cumsum(0)
    functions, excesses = [], []
    for grid in grids:
        shape = (3, len(grid.rows.first), len(grid.columns.first))
        rise, gap = weight * torch.rand(shape, dtype=torch.float64), radius * torch.rand(shape, dtype=torch.float64)
        heights = torch.stack([hinges(rise, gap, budget) for budget in budgets])[:, None, None]
        functions.append((grid, rise, gap))
        excesses.append(
            Excess(grid, heights, heights[3 if grid is grids[0] else -1], torch.zeros((1, 2), dtype=torch.int64))
        )

    def slopes(radius: float) -> Slopes:
        return Slopes.of(rates, [share * radius for share in (*zones, 1.0)])

    def fall(z: Tensor, power: int, radius: float) -> Tensor:
        zone = sum(((z > share * radius).long() for share in zones), torch.zeros((HEIGHT, WIDTH), dtype=torch.int64))
        total = (rates[:, 0, 0].gather(0, zone.unsqueeze(0))[0] * z).sum()
        for grid, rise, gap in functions:
            down, across = (
                side.shares(torch.arange(len(side.first)), torch.arange(side.length))
                if power == 2
                else side.seen(torch.arange(len(side.first)), torch.arange(side.length)).double()
                for side in (grid.rows, grid.columns)
            )
            spent = (down @ z**power @ across.T + 1e-300) ** (1 / power)
            total = total + hinges(rise, gap, spent).sum()
        return total

    inner = radius * shrink
    rounding = Rounding(rigorous=True)
    place = Place(grids[1], torch.tensor([[1, 2]]))
    down, across = place.weights([torch.arange(HEIGHT)[None], torch.arange(WIDTH)[None]])
    part = down[0, :, None] * across[0]
    joint = joint_fall(slopes(inner), excesses, form, budgets, rounding)
    wide = joint_fall(slopes(radius), excesses, form, budgets, rounding, place)
    largest = joint_maximum(slopes(radius), excesses, form, budgets)
    everything = torch.ones((HEIGHT, WIDTH), dtype=torch.float64)
    for power, most, whole, counted in (
        (2, joint, inner, everything),
        (1, largest, radius, everything),
        (2, wide, radius, part),
    ):
        for start in range(6):
            z = torch.rand((HEIGHT, WIDTH), dtype=torch.float64) ** (0.5 + 4 * start) * (counted > 0)
            for _ in range(15):
                z = (z * (whole / (counted * z**power).sum() ** (1 / power))).requires_grad_()
                value = fall(z, power, whole)
                assert float(value.detach()) <= float(most) * (1 + 1e-9)
                (gradient,) = torch.autograd.grad(value, z)
                ascent = gradient * (counted > 0)
                z = (z.detach() + ascent * whole / (float(ascent.norm()) + 1e-300)).clamp(min=0)


def test_without_heights_the_joint_fall_is_the_norm() -> None:
    grid = Places(side(2, HEIGHT, 3, 2), side(3, WIDTH, 3, 2))
    form = Form(
        torch.zeros((1, 1, 1, 1, 1, HEIGHT, WIDTH)), torch.zeros((1, 5), dtype=torch.int64), (1, 1, 1, HEIGHT, WIDTH)
    )
    slopes = torch.rand((1, 1, HEIGHT, WIDTH), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    heights = torch.zeros((2, 1, 1, len(grid.rows.first), len(grid.columns.first)), dtype=torch.float64)
    excess = Excess(grid, heights, heights[-1], torch.zeros((1, 2), dtype=torch.int64))
    most = joint_fall(Slopes.of(slopes[None], [2.0]), [excess], form, [1.0, 2.0], Rounding(rigorous=True))
    assert float(most) == pytest.approx(2.0 * float(slopes.norm()), rel=1e-9)


def test_what_has_to_concentrate_costs_nothing_beside_a_functional_that_spreads() -> None:
    """The sum of both alone would be twice the norm."""
    grid = Places(side(2, HEIGHT, 1, 1), side(3, WIDTH, 1, 1))
    form = Form(
        torch.zeros((1, 1, 1, 1, 1, HEIGHT, WIDTH)), torch.zeros((1, 5), dtype=torch.int64), (1, 1, 1, HEIGHT, WIDTH)
    )
    slopes = torch.ones((1, 1, HEIGHT, WIDTH), dtype=torch.float64)
    alone = float(slopes.norm())
    heights = torch.zeros((2, 1, 1, len(grid.rows.first), len(grid.columns.first)), dtype=torch.float64)
    heights[1, ..., 3, 3] = 0.3 * alone
    excess = Excess(grid, heights, heights[-1], torch.zeros((1, 2), dtype=torch.int64))
    most = joint_fall(Slopes.of(slopes[None], [1.0]), [excess], form, [0.5, 1.0], Rounding(rigorous=True))
    assert float(most) < 1.01 * alone


def test_a_pixel_may_have_spent_more_than_counts_for_any_place_that_sees_it() -> None:
    """Nine places see one pixel, whose fall is steeper near the whole radius: of that a third counts for each."""
    grid = Places(side(2, HEIGHT, 3, 1), side(3, WIDTH, 3, 1))
    form = Form(
        torch.zeros((1, 1, 1, 1, 1, HEIGHT, WIDTH)), torch.zeros((1, 5), dtype=torch.int64), (1, 1, 1, HEIGHT, WIDTH)
    )
    rates = torch.zeros((2, 1, 1, HEIGHT, WIDTH), dtype=torch.float64)
    rates[1, ..., 3, 4] = 2.0
    seen = grid.rows.seen(torch.arange(len(grid.rows.first)), torch.tensor([3])).double()
    across = grid.columns.seen(torch.arange(len(grid.columns.first)), torch.tensor([4])).double()
    heights = (3.0 * seen @ across.T)[None, None, None]
    excess = Excess(grid, heights, heights[-1], torch.zeros((1, 2), dtype=torch.int64))
    most = joint_fall(Slopes.of(rates, [0.9, 1.0]), [excess], form, [1.0], Rounding(rigorous=True))
    whole = 2.0 * 1.0 + 9 * 3.0 * (1 / 9) ** 0.5
    assert whole <= float(most) <= 1.1 * whole


# --- mutations: rules that are wrong on purpose must be noticed ---------------------------------------------------------


def excess_lost(patch: pytest.MonkeyPatch) -> None:
    """What values exceed their planes by is forgotten."""
    patch.setattr(LinearBounds, "_excess", lambda self, number, form: None)


def excess_of_the_clip(patch: pytest.MonkeyPatch) -> None:
    """Cones are taken to be as narrow over the region as half way from the clip."""
    right = base.between
    for module in (relu, max_pool):
        patch.setattr(module, "between", lambda a, b, share, rounding: right(a, b, share / 2, rounding))


def tilt_unpaid(patch: pytest.MonkeyPatch) -> None:
    """A tilted plane is paid for on the side of the kink that is beyond it, and not on that of the clip."""
    right = relu.Relu._beyond

    def wrong(self: relu.Relu, site: Site, share: float, wide: bool) -> tuple[Tensor, Tensor]:
        beyond, before = right(self, site, share, wide)
        return beyond, before if share not in (0.0, 1.0) else torch.zeros_like(before)

    patch.setattr(relu.Relu, "_beyond", wrong)


def leader_unmoved(patch: pytest.MonkeyPatch) -> None:
    """The leader of a window never falls farther behind the favourite."""
    right = max_pool._Near._leading

    def wrong(self: max_pool._Near, *arguments: Any) -> tuple[Tensor, Tensor]:
        above, below = right(self, *arguments)
        return above, torch.zeros_like(below)

    patch.setattr(max_pool._Near, "_leading", wrong)


def cones_mixed(patch: pytest.MonkeyPatch) -> None:
    """The apex is taken at the clip although the base holds for the region without what is near the clip."""
    right = Cone.narrowed

    def wrong(self: Cone, other: Cone) -> Cone:
        good = right(self, other)
        return replace(
            good, base=Interval(*((good.apex.centre + 9 * end) / 10 for end in (good.base.lower, good.base.upper)))
        )

    patch.setattr(Cone, "narrowed", wrong)


def radius_unpaid(patch: pytest.MonkeyPatch) -> None:
    """The multiplier of the joint fall costs nothing."""
    patch.setattr(warp, "joint_fall", lambda *arguments: joint_fall(*arguments) / 2)


class Level(nn.Module):
    """Everything is near a kink at the clip: convolutions less their values there and small gaps. One logit is minus the sum."""

    def __init__(self, frames: Tensor, pooled: bool) -> None:
        super().__init__()
        self.conv, self.after = nn.Conv2d(3, 4, 2, stride=1), nn.Conv2d(4, 2, 2)
        self.pooled = pooled
        with torch.no_grad():
            self.level = nn.Parameter(self.conv(frames))
            self.gaps = nn.Parameter(0.01 * torch.rand(self.level.shape))
            self.second = nn.Parameter(self.after(self._first(frames)) + 0.01)

    def _first(self, x: Tensor) -> Tensor:
        x = self.conv(x) - self.level - self.gaps
        return nn.functional.max_pool2d(x, 2) if self.pooled else x.relu()

    def forward(self, clip: Tensor) -> Tensor:
        x = self._first(clip[0])
        if not self.pooled:
            x = (self.after(x) - self.second).relu()
        return torch.stack([-x.sum(), x.new_zeros(()), x[0, 0, 0, 0]]).unsqueeze(0)


MUTATIONS = [
    (excess_lost, False),
    (excess_lost, True),
    (excess_of_the_clip, False),
    (tilt_unpaid, False),
    (leader_unmoved, True),
    (cones_mixed, False),
    (radius_unpaid, False),
]


@pytest.mark.parametrize(("mutation", "pooled"), MUTATIONS, ids=lambda value: getattr(value, "__name__", str(value)))
@pytest.mark.usefixtures("everywhere")
def test_a_wrong_rule_is_caught(
    mutation: Callable[[pytest.MonkeyPatch], None], pooled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert violation(pooled) <= TOLERANCE[True]
    mutation(monkeypatch)
    assert violation(pooled) > TOLERANCE[True] * 100


def violation(pooled: bool) -> float:
    """The worst over a few clips, of the bounds over the ball and of the cones at several shares of it."""
    worst = -float("inf")
    for seed in range(2):
        torch.manual_seed(seed)
        frames = make_frames(seed)
        graph = export_graph(Level(frames, pooled).eval(), (1, *frames.shape))
        for scale in (0.3, 1.0):
            region, points = flow_region(frames, "dense", Norm.L2, RADIUS[Norm.L2] * scale, Rounding(rigorous=True))
            worst = max(worst, worst_violation(graph, region, points, seed))
            linear = bounds_of(graph, region)
            worst = max(worst, *(outside_cones(linear, points, share) for share in (0.3, 1.0)))
    return worst
