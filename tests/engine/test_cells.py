"""Cells of spaces with few dimensions: their linear bounds hold, and no adversarial example is nearer than they say."""

import pytest
import torch
from torch import Tensor

from tests.engine.networks import Pooled
from verification.engine.bounds.cell import Cell
from verification.engine.bounds.cell_margins import CellMargins
from verification.engine.bounds.distance import Yardstick, least_distances
from verification.engine.bounds.fields import Fields
from verification.engine.bounds.lattice_images import LatticeImages
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.stem import Stem
from verification.engine.game.cells import CellSearch
from verification.engine.game.frontier import Cut, Frontier
from verification.engine.network.export import export_graph
from verification.engine.network.operations.base import Operation, Site
from verification.engine.network.operations.gate import Gate
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.sigmoid import Sigmoid
from verification.engine.perturbation import FlowSpace, Norm, build_space
from verification.engine.relaxation import Enclosure, Rounding


def _problem(space: str, norm: Norm = Norm.L2, flows: tuple[int, ...] | None = None) -> Problem:
    torch.manual_seed(1)
    frames = torch.rand(3, 3, 6, 8)
    graph = export_graph(Pooled().eval(), (1, 3, 3, 6, 8)).cast(torch.float64, torch.device("cpu"))
    label = int(graph(frames.double().unsqueeze(0)).argmax())
    return Problem(graph, frames, build_space(space, 3, 6, 8, flows), norm, label)


def _margins(problem: Problem, a: Tensor) -> Tensor:
    logits = problem.logits(a.view(problem.space.shape))
    others = [c for c in range(len(logits)) if c != problem.label]
    return logits[problem.label] - logits[others]


def _inside(lower: Tensor, upper: Tensor) -> Tensor:
    """A point of a cell, often on its sides."""
    return lower + (upper - lower) * (1.6 * torch.rand_like(lower) - 0.3).clamp(0, 1)


@pytest.mark.parametrize("flows", [None, (1,)])
@pytest.mark.parametrize("space", ["translation", "blocks:1x2", "affine"])
@pytest.mark.parametrize("half", [0.0, 0.02, 0.5, 1.6])
def test_margins_of_all_points_of_a_cell_lie_above_its_linear_bounds(
    space: str, flows: tuple[int, ...] | None, half: float
) -> None:
    problem = _problem(space, flows=flows)
    margins = CellMargins(problem)
    centres = 3 * torch.randn(6, problem.space.dimensions, dtype=torch.float64)
    centres[2] = centres[2].round()
    centres[3] = centres[3].round() + half
    centres[5] *= 10  # far beyond the frame
    for refined in (False, True):
        found = margins(centres - half, centres + half, refined, lambda: None)
        for centre, bounds in zip(centres, found, strict=True):
            assert bounds is not None
            for _ in range(30):
                a = _inside(centre - half, centre + half)
                z = ((a - bounds.centre) / bounds.half.clamp(min=1e-300)).clamp(-1, 1)
                assert bool((_margins(problem, a) >= bounds.constants + bounds.slopes @ z).all())
            if half <= 0.02:  # and such small cells lose hardly anything
                least = bounds.constants - bounds.slopes.abs().sum(1)
                assert bool((least > _margins(problem, centre) - 0.1).all())


def test_cells_between_lattice_lines_are_proven_where_kinds_of_displacement_share_their_parameters() -> None:
    problem = _problem("translation", flows=(1,))
    margins = CellMargins(problem)
    corners = torch.tensor([[0.0, 0.0], [2.0, -1.0], [-3.0, 1.0]], dtype=torch.float64)
    for corner, bounds in zip(corners, margins(corners, corners + 1, True, lambda: None), strict=True):
        assert bounds is not None
        least = float((bounds.constants - bounds.slopes.abs().sum(1)).amin())
        true = min(float(_margins(problem, _inside(corner, corner + 1)).amin()) for _ in range(200))
        assert 0 < least <= true  # a linear bound of each pixel by itself proves none of them


@pytest.mark.parametrize("space", ["translation", "blocks:2x2", "affine"])
def test_a_cell_is_bounded_in_a_batch_as_it_is_alone(space: str) -> None:
    problem = _problem(space)
    margins = CellMargins(problem)
    centres = torch.randn(5, problem.space.dimensions, dtype=torch.float64)
    for refined in (False, True):
        together = margins(centres - 0.3, centres + 0.4, refined, lambda: None)
        for centre, bounds in zip(centres, together, strict=True):
            (alone,) = margins(centre[None] - 0.3, centre[None] + 0.4, refined, lambda: None)
            assert alone is not None
            assert bounds is not None
            torch.testing.assert_close(bounds.constants, alone.constants, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(bounds.slopes, alone.slopes, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("space", ["translation", "blocks:2x2"])
def test_images_at_whole_pixels_tell_the_same_as_the_clips_themselves(space: str) -> None:
    problem, rounding = _problem(space), Rounding(rigorous=True)
    assert isinstance(problem.space, FlowSpace)
    fields, stem = Fields.of(problem.space, problem.frames.device), Stem.of(problem.graph)
    images = LatticeImages(problem.frames, fields, stem, rounding, most=64)
    centres = 4 * torch.randn(4, problem.space.dimensions, dtype=torch.float64)
    cells = Cell.of(fields, centres - 0.6, centres + 0.5)
    for cell, known in zip(cells, images.anchors(cells, lambda: None), strict=True):
        for anchor, direct in stem.enclosures(cell.clip(problem.frames), rounding).items():
            torch.testing.assert_close(known[anchor].centre, direct.centre, rtol=0, atol=1e-9)
            torch.testing.assert_close(known[anchor].slopes, direct.slopes, rtol=0, atol=1e-9)
            torch.testing.assert_close(known[anchor].error, direct.error, rtol=0, atol=1e-6)


@pytest.mark.parametrize("space", ["translation", "affine"])
@pytest.mark.parametrize("half", [0.02, 0.7, 1.6])
def test_pixels_of_all_points_of_a_cell_lie_in_its_enclosure_and_reach_its_ends(space: str, half: float) -> None:
    problem = _problem(space)
    assert isinstance(problem.space, FlowSpace)
    fields = Fields.of(problem.space, problem.frames.device)
    centre = torch.randn(fields.dimensions, dtype=torch.float64)
    (cell,) = Cell.of(fields, centre[None] - half, centre[None] + half)
    enclosure = cell.clip(problem.frames)
    reach = enclosure.error[0] + enclosure.slopes[fields.dimensions :, 0].abs().sum(0)
    farthest = torch.zeros_like(reach)
    for _ in range(400):
        a = _inside(centre - half, centre + half)
        z = ((a - centre) / half).clamp(-1, 1)
        clip = problem.perturbed(a.view(problem.space.shape))
        rest = clip - enclosure.centre[0] - torch.einsum("k,k...->...", z, enclosure.slopes[: fields.dimensions, 0])
        assert bool((rest.abs() <= reach).all())
        farthest = torch.maximum(farthest, rest.abs())
    assert float(farthest.sum()) > 0.25 * float(reach.sum())


_OPERATIONS = [
    (MaxPool((2, 2), (2, 2), (0, 0), (1, 1)), 1),
    (MaxPool((3, 3), (2, 2), (1, 1), (1, 1)), 1),
    (Relu(), 1),
    (Relu(0.2), 1),
    (Sigmoid(), 1),
    (Product(), 2),
    (Gate(squashed=True), 2),
]


@pytest.mark.parametrize(("operation", "count"), _OPERATIONS)
def test_values_lie_in_the_enclosure_that_an_operation_makes(operation: Operation, count: int) -> None:
    torch.manual_seed(3)
    rounding, shape, share = Rounding(rigorous=True), (1, 3, 6, 6), 0.0
    for size in (0.05, 0.4, 1.5):
        parts = [torch.randn(shape, dtype=torch.float64) for _ in range(count)]
        slopes = [size * torch.randn((2, *shape), dtype=torch.float64) for _ in range(count)]
        inputs = [Enclosure(c, s, 0.2 * size * torch.rand_like(c)) for c, s in zip(parts, slopes, strict=True)]
        site = Site((shape,) * count, tuple(x.interval(rounding) for x in inputs), rounding)
        result = operation.enclose(inputs, site)
        for _ in range(300):
            z = (3 * torch.rand(2, dtype=torch.float64) - 1.5).clamp(-1, 1)
            values = [
                x.centre
                + torch.einsum("k,k...->...", z, x.slopes)
                + x.error * (3 * torch.rand_like(x.error) - 1.5).clamp(-1, 1)
                for x in inputs
            ]
            rest = operation.concrete(*values) - result.centre - torch.einsum("k,k...->...", z, result.slopes)
            assert bool((rest.abs() <= result.error).all())
            share = max(share, float((rest.abs() / result.error.clamp(min=1e-9)).amax()))
    assert share > 0.8


@pytest.mark.parametrize("norm", list(Norm))
def test_no_point_with_a_negative_functional_is_nearer_than_its_least_distance(norm: Norm) -> None:
    torch.manual_seed(2)
    tight = []
    for _ in range(60):
        weights = torch.rand(3, dtype=torch.float64) + 0.5
        centre, half = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
        constants, slopes = torch.randn(1, dtype=torch.float64), torch.randn(1, 3, dtype=torch.float64)
        yardstick = Yardstick(norm, weights)
        least = float(least_distances(yardstick, centre, half, constants, slopes))
        z = (2.4 * torch.rand(20000, 3, dtype=torch.float64) - 1.2).clamp(-1, 1)
        found = z[(constants + z @ slopes[0]) <= 0]
        if len(found):
            nearest = float(yardstick.of(centre + half * found).amin())
            assert least <= nearest
            tight.append(nearest - least)
    assert sorted(tight)[len(tight) // 2] < 0.1


@pytest.mark.parametrize("norm", list(Norm))
def test_cells_prove_more_than_nothing_and_no_attack_is_nearer(norm: Norm) -> None:
    problem = _problem("translation", norm, flows=(1,))
    search = CellSearch(problem, limit=None)
    proven = [search.step(None, lambda: None) for _ in range(30)]
    rising = [value for value in proven if value is not None]
    assert rising == sorted(rising)
    assert search.lower == rising[-1] > 0
    for _ in range(300):
        a = torch.randn(problem.space.shape, dtype=torch.float64)
        a *= search.lower * float(torch.rand(())) ** 0.3 / problem.norm_of(a)
        assert bool((_margins(problem, a) > 0).all())


def test_a_restored_search_goes_on_as_if_it_had_not_been_interrupted() -> None:
    whole = CellSearch(_problem("translation", flows=(1,)), limit=None)
    for _ in range(12):
        whole.step(None, lambda: None)
    half = CellSearch(_problem("translation", flows=(1,)), limit=None)
    for _ in range(6):
        half.step(None, lambda: None)
    resumed = CellSearch(_problem("translation", flows=(1,)), limit=None)
    resumed.restore(*half.state())
    for _ in range(6):
        resumed.step(None, lambda: None)
    assert (resumed.lower, resumed.target) == (whole.lower, whole.target)
    assert all(
        torch.equal(mine, other)
        for mine, other in zip(*(s.frontier.tensors().values() for s in (resumed, whole)), strict=True)
    )


def test_the_moves_of_both_players_make_the_same_cells_when_they_are_replayed() -> None:
    search = CellSearch(_problem("translation", flows=(1,)), limit=None)
    while search.frontier.count < 40:
        search.step(None, lambda: None)
    moves = list(search.frontier.moves())
    assert len(moves) == search.frontier.count - 1
    assert all(0 <= move.estimate < search.target for move in moves)
    replayed = Frontier(2)
    for move in moves:
        assert move.open == replayed.count
        replayed.split(move.cell, Cut(move.dimension, move.place))
    for cell in range(search.frontier.count):
        for mine, other in zip(replayed.box(cell), search.frontier.box(cell), strict=True):
            assert torch.equal(mine, other)
