"""The paper's grid: small games end at the optimum, every point is met once, and what is called proven no attack undoes."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.engine.bounding import HEIGHT, LENGTH, WIDTH, Points, attacked, make_space
from tests.engine.test_root_certificate import make_problem, never
from verification.engine.bounds.lipschitz import flow_constants
from verification.engine.bounds.point_margins import PointMargins
from verification.engine.bounds.problem import Problem
from verification.engine.errors import Stopped, UnsupportedOperationError
from verification.engine.game import grid
from verification.engine.game.grid import GridSearch
from verification.engine.game.lattice import Lattice
from verification.engine.game.tree import POINT
from verification.engine.network.export import export_graph
from verification.engine.perturbation import FlowSpace, Norm, build_space
from verification.engine.result import Guarantee

NORMS = list(Norm)


class _Leaning(nn.Module):
    """Two classes. The second one's logit rises with what the flow makes of one pixel of the last frame, along x and y."""

    def __init__(self, bias: float, spike: tuple[float, float, float] | None = None) -> None:
        super().__init__()
        self.bias, self.spike = bias, spike

    def forward(self, clip: Tensor) -> Tensor:
        x, y = clip[:, -1, 0, 4, 5], clip[:, -1, 1, 4, 5]
        away = 2 * x - y
        if self.spike is not None:
            place, height, steepness = self.spike
            away = (height - steepness * ((x - place).relu() + (place - x).relu())).relu()
        return torch.stack([torch.zeros_like(away), away + self.bias], 1)


class _Leaping(nn.Module):
    """The second logit jumps from -0.5 to 1 where the same pixel falls to 0.45: a pixel of flow to the right, or more."""

    def forward(self, clip: Tensor) -> Tensor:
        x = clip[:, -1, 0, 4, 5]
        return torch.stack([0 * x, nn.functional.threshold(x, 0.45, 2.0) - 1], 1)


def _on_planes(module: nn.Module, norm: Norm, flows: tuple[int, ...] = (1,), space: str = "translation") -> Problem:
    """`clip[-1, 0] = 0.5 - dx / 20` and `clip[-1, 1] = 0.5 - dy / 20` at the pixel, where nothing leaves the frame."""
    y, x = torch.arange(HEIGHT).view(-1, 1) - 4.0, torch.arange(WIDTH) - 5.0
    plane = torch.stack([(x + 0 * y) / 20, (y + 0 * x) / 20, 0 * (x + y)]) + 0.5
    graph = export_graph(module, (1, LENGTH, 3, HEIGHT, WIDTH)).cast(torch.float64, torch.device("cpu"))
    frames = plane.expand(LENGTH, -1, -1, -1).float()
    return Problem(graph, frames, build_space(space, LENGTH, HEIGHT, WIDTH, flows), norm, 0)


def _leaning(
    norm: Norm, bias: float, flows: tuple[int, ...] = (1,), spike: tuple[float, float, float] | None = None
) -> Problem:
    return _on_planes(_Leaning(bias, spike), norm, flows)


def _finished(search: GridSearch, upper: float | None = None, most: int = 2000) -> GridSearch:
    for _ in range(most):
        if search.finished:
            return search
        search.step(upper, never)
    raise AssertionError("the search does not end")


def _margins(problem: Problem, a: Tensor) -> Tensor:
    return PointMargins(problem).values(a.flatten())


def _enumerated(problem: Problem, tau: float, reach: int) -> dict[tuple[int, ...], float]:
    """The distances of all adversarial points with at most `reach` steps in each dimension."""
    found = {}
    for steps in itertools.product(range(-reach, reach + 1), repeat=problem.space.dimensions):
        a = torch.tensor(steps, dtype=torch.float64) * tau
        if bool((_margins(problem, a) < 0).any()):
            found[steps] = problem.norm_of(a.view(problem.space.shape))
    return found


def _visits(search: GridSearch) -> list[tuple[int, ...]]:
    """Replays the moves: where every visited point is, in steps."""
    places: dict[int, tuple[int, ...]] = {}
    for move in search.moves():
        if move.parent is None:
            places[move.point] = (0,) * search.space.dimensions
        else:
            assert move.dimension is not None
            place = list(places[move.parent])
            place[move.dimension] += move.theta
            places[move.point] = tuple(place)
    return list(places.values())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("flows", "reach"), [((1,), 6), ((1, 3), 3)])
def test_small_games_end_at_the_value_that_enumeration_finds(norm: Norm, flows: tuple[int, ...], reach: int) -> None:
    tau = 0.75
    problem = _leaning(norm, -0.65, flows)
    adversarial = _enumerated(problem, tau, reach)
    value = min(adversarial.values())
    assert value < problem.norm_of(
        torch.tensor([reach * tau] + [0.0] * (problem.space.dimensions - 1)).view(problem.space.shape)
    )
    search = _finished(GridSearch(problem, None, tau))
    assert search.fmsr == pytest.approx(value, rel=1e-12)
    assert search.found is not None
    assert problem.norm_of(search.found) == pytest.approx(value, rel=1e-12)
    assert int(problem.logits(search.found).argmax()) != problem.label


@pytest.mark.parametrize("norm", NORMS)
def test_every_point_is_met_once_and_none_that_is_nearer_than_the_value_is_left_out(norm: Norm) -> None:
    tau = 0.75
    problem = _leaning(norm, -0.65, (1, 3))
    search = _finished(GridSearch(problem, None, tau))
    visits = _visits(search)
    assert len(visits) == len(set(visits)) == search.visited
    for steps in itertools.product(range(-2, 3), repeat=4):
        a = torch.tensor(steps, dtype=torch.float64).view(problem.space.shape) * tau
        assert problem.norm_of(a) >= search.fmsr * (1 - 1e-12) or steps in set(visits)


def _descends(steps: list[int], place: list[int], last: int) -> bool:
    """Whether a point is reached from `place`, whose last coordinate that is not zero is `last`, on the way of the game."""
    if last < 0:
        return True
    return steps[:last] == place[:last] and steps[last] * place[last] >= place[last] ** 2


@pytest.mark.parametrize("norm", NORMS)
def test_no_estimate_is_more_than_what_the_goal_costs(norm: Norm) -> None:
    tau, reach = 0.75, 6
    problem = _leaning(norm, -0.65)
    adversarial = _enumerated(problem, tau, reach)
    search = GridSearch(problem, None, tau)
    while search.visited < 12:
        search.step(None, never)
    assert search.lattice is not None
    tree = search.tree
    estimates, distances = tree.tensors()["estimate"], tree.tensors()["distance"]
    heuristics = []
    for point in estimates.isfinite().nonzero()[:, 0]:
        place = tree.steps(point[None])[0].tolist()
        last = max((k for k, n in enumerate(place) if n), default=-1)
        beyond = [value for steps, value in adversarial.items() if _descends(list(steps), place, last)]
        assert float(estimates[point]) <= min(beyond, default=math.inf) * (1 + 1e-12)
        heuristics.append(float(estimates[point] - distances[point]))
    assert max(heuristics) <= search.lattice.width * (1 + 1e-12)
    assert max(heuristics) > 0 or norm is Norm.LINF


@pytest.mark.parametrize("norm", NORMS)
def test_the_width_of_a_cell_is_that_of_the_paper(norm: Norm) -> None:
    space = build_space("dense", 3, 4, 5)
    assert isinstance(space, FlowSpace)
    count, tau = space.dimensions, 0.3
    expected = {Norm.L1: count * tau, Norm.L2: math.sqrt(count * tau**2), Norm.LINF: tau}[norm]
    assert Lattice(space, norm, tau).width == pytest.approx(expected, rel=1e-12)


SPACES = ["dense", "translation", "blocks:2x3", "moving:0.9", "affine"]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", SPACES)
def test_no_point_of_a_cell_is_nearer_or_farther_from_its_middle_than_the_lattice_says(kind: str, norm: Norm) -> None:
    torch.manual_seed(0)
    space = make_space(kind, torch.rand(3, 3, 4, 5))
    assert isinstance(space, FlowSpace)
    lattice = Lattice(space, norm, 0.4)
    steps = torch.randint(-3, 4, (20, space.dimensions))
    steps[0] = 0
    nearest, half, distances = lattice.nearest(steps), lattice.half(steps), lattice.distances(steps)
    for row, least, most, distance in zip(steps, nearest.tolist(), half.tolist(), distances.tolist(), strict=True):
        middle = row.double() * lattice.tau
        assert float(space.norm(middle.view(space.shape), norm)) == pytest.approx(distance, rel=1e-12)
        corner = middle - (row.sign() + (row == 0)).double() * lattice.tau / 2
        inside = [middle + (torch.rand(len(row)).double() - 0.5) * lattice.tau for _ in range(6)]
        for a in (corner, *inside):
            assert float(space.norm(a.view(space.shape), norm)) >= least
            assert float(space.norm((a - middle).view(space.shape), norm)) <= most
        a = torch.where(row == 0, 0.0, corner)
        assert float(space.norm(a.view(space.shape), norm)) == pytest.approx(least, rel=1e-8)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", SPACES)
def test_a_step_away_from_zero_changes_distances_as_going_there_does(kind: str, norm: Norm) -> None:
    torch.manual_seed(1)
    space = make_space(kind, torch.rand(3, 3, 4, 5))
    assert isinstance(space, FlowSpace)
    lattice = Lattice(space, norm, 0.4)
    steps = torch.randint(-2, 3, (space.dimensions,))
    dimensions = torch.arange(space.dimensions)
    moved = steps + torch.diag(torch.where(steps < 0, -1, 1))
    for told, there in zip(
        lattice.after(steps, dimensions), (lattice.distances(moved), lattice.nearest(moved)), strict=True
    ):
        torch.testing.assert_close(told, there, rtol=1e-12, atol=0)
    before = (lattice.distances(steps[None]), lattice.nearest(steps[None]))
    for first, told in zip(before, lattice.after(steps, dimensions), strict=True):
        assert bool((told >= first * (1 - 1e-12)).all())


@pytest.mark.parametrize("kind", ["dense", "translation", "blocks:2x3", "moving:0.9", "affine"])
def test_every_coordinate_belongs_to_the_flow_that_it_changes(kind: str) -> None:
    space = make_space(kind, torch.rand(5, 3, 4, 5), (1, 3, 4))
    assert isinstance(space, FlowSpace)
    for dimension in range(space.dimensions):
        a = torch.zeros(space.dimensions)
        a[dimension] = 1.0
        changed = space.lift(a.view(space.shape)).flatten(1).any(1).nonzero()[:, 0]
        assert changed.tolist() == [space.flow_of(dimension) - 1]


@pytest.mark.parametrize("norm", NORMS)
def test_values_of_points_lie_within_their_proven_margins(norm: Norm) -> None:
    problem = make_problem("lstm", norm, "translation")
    margins = PointMargins(problem)
    for size in (0.0, 0.3, 5.0):
        a = size * torch.randn(problem.space.dimensions, dtype=torch.float64)
        box, value = margins(a), margins.values(a)
        assert bool((box.lower < value).all() & (value < box.upper).all())
        assert float((box.upper - box.lower).amax()) < 1e-6


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e120])
def test_numbers_that_are_none_or_too_large_prove_nothing(value: float) -> None:
    problem = make_problem("conv3d", Norm.L2, "translation")
    origin = torch.zeros(problem.space.dimensions, dtype=torch.float64)
    assert bool((PointMargins(problem)(origin).lower > 0).all())
    strange = replace(problem, frames=torch.full_like(problem.frames, value, dtype=torch.float64))
    box = PointMargins(strange)(origin)
    assert bool((box.lower < 0).all() & (box.upper > 0).all())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("network", "flows"), [("conv3d", (1,)), ("max pool", (2,)), ("rnn", (3,))])
def test_no_attack_is_nearer_than_a_derived_grid_proves(network: str, flows: tuple[int, ...], norm: Norm) -> None:
    problem = make_problem(network, norm, "translation", flows)
    search = GridSearch(problem, None)
    proven = [search.step(None, never) for _ in range(40)]
    rising = [value for value in proven if value is not None]
    assert rising == sorted(rising)
    assert search.lower == rising[-1] > 0
    assert search.msr.certified == search.msr.conditional == search.lower
    assert search.guarantee is Guarantee.SOUND
    _safe_within(problem, search.lower)


def _safe_within(problem: Problem, radius: float) -> None:
    space = problem.space
    points = Points(
        space.shape,
        problem.norm,
        lambda a: space.norm(a, problem.norm),
        lambda a: space.perturbed(problem.frames.double(), space.lift(a)),
        radius,
    )
    tried = [*attacked(problem.graph, points, problem.label, seed=1, steps=20), *points.draw(90, seed=2)]
    for number, a in enumerate(tried):
        assert bool((_margins(problem, a.detach() * (1.0, 0.9, 0.5)[number % 3]) > 0).all())


@pytest.mark.parametrize("norm", NORMS)
def test_a_derived_grid_comes_near_to_the_true_radius(norm: Norm) -> None:
    problem = _leaning(norm, -0.65)
    scale = problem.norm_of(torch.tensor([[[[1.0]], [[0.0]]]], dtype=torch.float64))
    # The margin is 0.15 - (2 dx - dy) / 20 or with other signs: 3 along (2, 1) in the dual norm.
    exact = scale * {Norm.L1: 3 / 2, Norm.L2: 3 / math.sqrt(5), Norm.LINF: 1.0}[norm]
    search = GridSearch(problem, None)
    for _ in range(150):
        search.step(exact, never)
    assert exact * 0.85 < search.lower <= exact
    assert search.found is None or problem.norm_of(search.found) >= exact


@pytest.mark.parametrize("norm", NORMS)
def test_a_derived_tau_is_that_of_equation_5_and_resolves_the_clip(norm: Norm) -> None:
    problem = make_problem("conv3d", norm, "translation", (1,))
    search = GridSearch(problem, None)
    search.step(None, never)
    assert search.lattice is not None
    radius = float(search.state()[0]["_radius"])
    margins = PointMargins(problem)(torch.zeros(2, dtype=torch.float64)).lower
    assert search.lattice.width <= float((margins / flow_constants(problem, radius, never)).amin())
    assert search.lower > 0
    assert search.unresolved == 0


@pytest.mark.parametrize("norm", NORMS)
def test_a_fine_tau_within_a_limit_covers_all_of_the_ball(norm: Norm) -> None:
    problem = make_problem("conv3d", norm, "translation", (1,))
    derived = GridSearch(problem, None)
    for _ in range(12):
        derived.step(None, never)
    assert derived.tau is not None
    search = _finished(GridSearch(problem, derived.lower, derived.tau))
    assert search.unresolved == 0
    assert search.guarantee is Guarantee.SOUND
    assert search.lower == search.msr.conditional == derived.lower
    assert search.fmsr >= derived.lower
    _safe_within(problem, search.lower)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("network", ["max pool", "residual"])
def test_no_attack_is_nearer_than_a_grid_of_a_given_tau_proves(network: str, norm: Norm) -> None:
    problem = make_problem(network, norm, "translation", (2,))
    derived = GridSearch(problem, None)
    while derived.visited < 100:
        derived.step(None, never)
    assert derived.tau is not None
    for times in (0.5, 2.0):
        search = GridSearch(problem, None, times * derived.tau)
        for _ in range(12):
            search.step(None, never)
        assert search.lower > 0
        _safe_within(problem, search.lower)


@pytest.mark.parametrize("norm", NORMS)
def test_the_correction_is_never_worse_than_theorem_1_or_than_half(norm: Norm) -> None:
    for tau, flows in ((0.75, (1,)), (0.4, (1,)), (0.75, (1, 3))):
        search = _finished(GridSearch(_leaning(norm, -0.65, flows), None, tau))
        assert search.lattice is not None
        conditional = search.msr.conditional
        assert conditional >= (search.fmsr - search.lattice.width / 2) * (1 - 1e-8)
        assert conditional >= search.fmsr / 2 * (1 - 1e-8)
        assert conditional < search.fmsr
        assert search.found is not None
        steps = (search.found / tau).round().long().view(1, -1)
        assert search.lower <= conditional <= float(search.lattice.nearest(steps))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("height", "steepness"), [(1.0, 400.0), (0.11, 9.0)])
def test_what_hides_between_grid_points_is_never_within_what_is_certified(
    norm: Norm, height: float, steepness: float
) -> None:
    """The class changes only in a strip half a step from the grid's points: they all keep it, some barely within reach."""
    tau = 0.5
    problem = _leaning(norm, -0.1, spike=(0.5 - 1.25 / 20, height, steepness))
    hidden = problem.norm_of(torch.tensor([[[[1.25]], [[0.0]]]], dtype=torch.float64))
    assert bool((_margins(problem, torch.tensor([1.25, 0.0], dtype=torch.float64)) < 0).any())
    search = _finished(GridSearch(problem, 1.7 * hidden, tau))
    assert search.found is None
    assert search.lower <= hidden < search.msr.conditional
    assert search.unresolved > 0
    assert search.guarantee is Guarantee.CONDITIONAL
    derived = GridSearch(problem, 1.7 * hidden)
    for _ in range(100):
        derived.step(None, never)
        assert derived.lower <= hidden


def test_points_that_no_constant_resolves_count_as_adversarial(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, tau = _leaning(Norm.L2, -0.65), 0.75
    monkeypatch.setattr(grid, "flow_constants", lambda *_: torch.full((1,), torch.inf, dtype=torch.float64))
    search = _finished(GridSearch(problem, None, tau))
    assert search.lower == 0.0
    assert search.unresolved == search.visited - sum(value < math.inf for value in [search.fmsr])
    assert search.guarantee is Guarantee.CONDITIONAL
    assert search.msr.conditional > 0
    derived = _finished(GridSearch(problem, None))
    assert derived.lower == 0.0


def test_a_network_without_derivatives_leaves_all_points_unresolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Tensor:
        raise UnsupportedOperationError("no derivative")

    problem = _leaning(Norm.L2, -0.65)
    monkeypatch.setattr(grid, "flow_constants", refuse)
    search = _finished(GridSearch(problem, None, 0.75))
    assert search.lower == 0.0 < search.msr.conditional
    assert search.guarantee is Guarantee.CONDITIONAL
    with pytest.raises(UnsupportedOperationError):
        GridSearch(problem, None).step(None, never)


def test_a_derived_grid_ends_before_a_leap_beyond_which_there_are_no_constants() -> None:
    problem = _on_planes(_Leaping(), Norm.L2)
    leap = problem.norm_of(torch.tensor([[[[1.0]], [[0.0]]]], dtype=torch.float64))
    assert bool((_margins(problem, torch.tensor([1.001, 0.0], dtype=torch.float64)) < 0).all())
    search = GridSearch(problem, None)
    for _ in range(80):
        search.step(None, never)
    assert leap / 2 < search.lower <= leap


@pytest.mark.parametrize("norm", NORMS)
def test_the_first_cell_of_a_dense_space_is_proven_and_no_more_is_asked_than_that(norm: Norm) -> None:
    problem = _on_planes(_Leaning(-0.65), norm, space="dense")
    search = GridSearch(problem, None, 0.001)
    first = search.step(None, never)
    assert first == search.lower == pytest.approx(0.0005, rel=1e-6)
    assert search.visited == 1
    search.step(None, never)
    assert search.tree.count == 1 + 2 * problem.space.dimensions


@pytest.mark.parametrize("tau", [None, 0.1])
def test_a_restored_search_goes_on_as_if_it_had_not_been_interrupted(tau: float | None) -> None:
    problem = make_problem("conv3d", Norm.L2, "translation", (1,))
    whole, half, resumed = (GridSearch(problem, None, tau) for _ in range(3))
    for _ in range(24):
        whole.step(None, never)
    for number in range(24):
        if number == 11:
            resumed.restore(*half.state())
        (half if number < 11 else resumed).step(None, never)
    assert whole.visited > 40
    _assert_alike(whole, resumed)


def _assert_alike(one: GridSearch, other: GridSearch) -> None:
    (numbers, tensors), (theirs, others) = one.state(), other.state()
    assert numbers == theirs
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())
    assert one.moves() == other.moves()


class _Impatient:
    """Asks to stop, at ever longer intervals."""

    def __init__(self) -> None:
        self.patience, self.asked = 3, 0

    def __call__(self) -> None:
        self.asked += 1
        if self.asked > self.patience:
            self.asked, self.patience = 0, self.patience + 4
            raise Stopped


@pytest.mark.parametrize("tau", [None, 0.3])
def test_a_search_that_is_stopped_again_and_again_comes_to_the_same(tau: float | None) -> None:
    problem = _leaning(Norm.L2, -0.65)
    patient, stopped, check, count = GridSearch(problem, None, tau), GridSearch(problem, None, tau), _Impatient(), 0
    for _ in range(60):
        patient.step(None, never)
    for _ in range(200):
        try:
            stopped.step(None, check)
        except Stopped:
            count += 1
    assert count > 5
    assert patient.visited > 20 < stopped.visited
    assert patient.lower > 0 < stopped.lower
    for search in (patient, stopped):
        _safe_within(problem, search.lower * (1 - 1e-9))
    if tau is not None:
        assert patient.finished
        assert (patient.lower, patient.fmsr, patient.msr) == (stopped.lower, stopped.fmsr, stopped.msr)


def test_a_search_without_room_for_more_points_says_so_and_keeps_what_it_has() -> None:
    problem = _leaning(Norm.L2, -0.65)
    whole = _finished(GridSearch(problem, None, 0.2))
    small = _finished(GridSearch(problem, None, 0.2, room=POINT * 40))
    assert small.full
    assert not whole.full
    assert 0 < small.lower <= whole.lower
    assert small.fmsr < whole.fmsr
    assert small.tree.count <= 40


@pytest.mark.parametrize("tau", [None, 0.3])
def test_what_is_beyond_the_best_example_is_not_looked_at(tau: float | None) -> None:
    problem = _leaning(Norm.L2, -0.65)
    search = _finished(GridSearch(problem, None, tau), upper=5.0)
    assert search.lower == 5.0
    assert search.guarantee is Guarantee.SOUND
    assert search.fmsr >= 5.0 or tau is None
