"""What is told of cells holds at all of their points: every network, spaces with and without shared parameters, every width."""

import pytest
import torch
from torch import Tensor, nn

from tests.engine.bounding import CPU, NETWORKS, TOLERANCE
from tests.engine.cell_referee import (
    anchors_of,
    make_problem,
    margins_of,
    points_of,
    some_cells,
    unchecked,
    worst_margin,
    worst_value,
)
from verification.engine.bounds.cell import Cell
from verification.engine.bounds.cell_margins import CellMargins
from verification.engine.bounds.fields import Fields
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.stem import Stem
from verification.engine.network.export import export_graph
from verification.engine.perturbation import FlowSpace, Norm, build_space
from verification.engine.relaxation import Enclosure, Rounding

#: Space, flows, and the size of its cells: two kinds of displacement that share parameters, many of them, and none.
SPACES: list[tuple[str, tuple[int, ...] | None, float]] = [
    ("translation", (1, 2), 1.0),
    ("blocks:1x2", (1, 3), 0.6),
    ("affine", (2,), 0.4),
]


def _case(name: str, turn: int = 0) -> tuple[Problem, Tensor, Tensor]:
    """Each network in one space after another, with its cells."""
    number = list(NETWORKS).index(name) + turn
    kind, flows, size = SPACES[number % len(SPACES)]
    problem = make_problem(name, kind, flows=flows)
    return problem, *some_cells(problem.space.dimensions, seed=number, size=size)


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_margins_lie_above_their_linear_bounds(name: str, refined: bool) -> None:
    problem, lower, upper = _case(name)
    assert worst_margin(problem, lower, upper, refined, count=15, seed=1) <= TOLERANCE[True]


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_value_lies_in_its_enclosure_and_in_its_interval(name: str, refined: bool) -> None:
    problem, lower, upper = _case(name, turn=1)
    assert worst_value(problem, lower, upper, refined, count=4, seed=2) <= TOLERANCE[True]


@pytest.mark.parametrize("name", list(NETWORKS))
def test_cells_of_every_network_are_bounded_in_a_batch_as_they_are_alone(name: str) -> None:
    problem, middles, _ = _case(name, turn=2)
    # No lattice lines within: cells with more of them bring rounding to those with fewer, which may decide between two planes.
    centres = middles.round() + 0.3
    halves = torch.tensor([0.0, 0.01, 0.02, 0.05, 0.03, 0.05], dtype=torch.float64).view(-1, 1)
    lower, upper, margins = centres - halves, centres + halves, CellMargins(problem)
    together = margins(lower, upper, True, unchecked)
    for number in (0, 3):
        (alone,) = margins(lower[number : number + 1], upper[number : number + 1], True, unchecked)
        told = together[number]
        assert told is not None
        assert alone is not None
        torch.testing.assert_close(told.constants, alone.constants, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(told.slopes, alone.slopes, rtol=1e-9, atol=1e-11)


class _TwoPaths(nn.Module):
    """Reads the clip through an affine path, through one that is not, and not at all: two inputs that are constants."""

    offset: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 2, (min(height, 2), min(width, 2)))
        self.register_buffer("offset", torch.rand(2, 1, 1))
        self.bent, self.straight = nn.LazyLinear(3), nn.Linear(3 * 3 * height * width, 3)
        with torch.no_grad():
            self(torch.rand(1, 3, 3, height, width))

    def forward(self, clips: Tensor) -> Tensor:
        x = self.convolution(clips[0]) * torch.sigmoid(self.offset) + torch.tanh(self.offset)
        logits: Tensor = self.bent(torch.tanh(x).reshape(1, -1)) + self.straight(clips.flatten(1))
        return logits


class _Deaf(nn.Module):
    """Logits that are constants, whatever the clip is."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([[0.5, 0.25, -1.0]]))

    def forward(self, clips: Tensor) -> Tensor:
        silent: Tensor = self.logits + 0.0 * clips.mean()
        return silent


def _problem(network: nn.Module, kind: str, height: int, width: int) -> Problem:
    frames = torch.rand((3, 3, height, width), generator=torch.Generator().manual_seed(4))
    graph = export_graph(network.eval(), (1, *frames.shape)).cast(torch.float64, CPU)
    label = int(graph(frames.double().unsqueeze(0)).argmax())
    return Problem(graph, frames, build_space(kind, 3, height, width, None), Norm.L2, label)


@pytest.mark.parametrize(("height", "width"), [(5, 6), (1, 7), (7, 1), (2, 2)])
def test_a_clip_that_is_read_in_two_ways_is_bounded_in_frames_of_every_shape(height: int, width: int) -> None:
    torch.manual_seed(6)
    problem = _problem(_TwoPaths(height, width), "translation", height, width)
    for seed in range(3):
        lower, upper = some_cells(problem.space.dimensions, seed)
        for refined in (False, True):
            assert worst_margin(problem, lower, upper, refined, count=24, seed=seed) <= TOLERANCE[True]
            assert worst_value(problem, lower, upper, refined, count=12, seed=seed) <= TOLERANCE[True]


def test_constant_logits_are_bounded_by_themselves() -> None:
    problem = _problem(_Deaf(), "translation", 4, 4)
    lower, upper = some_cells(problem.space.dimensions, seed=1)
    for told in CellMargins(problem)(lower, upper, False, unchecked):
        assert told is not None
        torch.testing.assert_close(told.constants, torch.tensor([0.25, 1.5], dtype=torch.float64), rtol=0, atol=1e-9)
        assert bool((told.constants <= margins_of(problem, told.centre)).all())


@pytest.mark.parametrize("size", [1e3, 1e9, 1e15])
@pytest.mark.parametrize("kind", ["translation", "affine"])
def test_coordinates_that_nearly_cancel_out_are_bounded_however_large_they_are(kind: str, size: float) -> None:
    """Frame 2 moves by a, frame 3 by a + b: where b is about -a the displacement of frame 3 has few digits left."""
    problem = make_problem("lstm", kind, flows=(1, 2))
    generator = torch.Generator().manual_seed(2)
    first = size * torch.randn((4, problem.space.dimensions // 2), generator=generator, dtype=torch.float64)
    second = torch.randn(first.shape, generator=generator, dtype=torch.float64).round() - first
    centres = torch.cat([first, second], 1)
    halves = torch.tensor([0.0, 1e-11, 0.1, 0.5], dtype=torch.float64).view(4, 1)
    for refined in (False, True):
        assert worst_margin(problem, centres - halves, centres + halves, refined, 24, seed=3) <= TOLERANCE[True]


@pytest.mark.parametrize("offset", [0.0, 3e-11, 9.9e-11, 1.01e-10, 1e-9])
def test_sides_that_nearly_lie_on_lattice_lines_are_taken_for_such_at_no_loss(offset: float) -> None:
    problem = make_problem("max pool", "translation", flows=(1,))
    corners = torch.tensor([[0.0, 1.0], [-1.0, 0.0], [2.0, -2.0], [8.0, -8.0]], dtype=torch.float64)
    for lower, upper in ((corners - offset, corners + 0.5), (corners - 0.5, corners + offset)):
        assert worst_margin(problem, lower, upper, True, 24, seed=4) <= TOLERANCE[True]
        assert worst_value(problem, lower, upper, False, 12, seed=4) <= TOLERANCE[True]


def test_clips_and_images_at_whole_pixels_hold_the_same_points_where_frames_are_one_pixel_wide() -> None:
    torch.manual_seed(6)
    problem = _problem(_TwoPaths(1, 7), "translation", 1, 7)
    stem, rounding = Stem.of(problem.graph), Rounding(rigorous=True)
    lower, upper = some_cells(problem.space.dimensions, seed=5)
    for cell, known in anchors_of(problem, stem, lower, upper):
        direct = stem.enclosures(cell.clip(problem.frames), rounding)
        assert known.keys() == direct.keys()
        for anchor, told in known.items():
            _assert_alike(told, direct[anchor])


def _assert_alike(told: Enclosure, direct: Enclosure) -> None:
    for mine, other in ((told.centre, direct.centre), (told.slopes, direct.slopes), (told.error, direct.error)):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-6)


def test_cells_reach_all_points_between_their_ends() -> None:
    space = build_space("translation", 2, 4, 5, None)
    assert isinstance(space, FlowSpace)
    fields = Fields.of(space, CPU)
    lower, upper = some_cells(2, seed=7, size=1e7)
    for cell in Cell.of(fields, lower, upper):
        for a in points_of(cell.lower, cell.upper, 30, seed=1):
            assert bool(((a - cell.centre).abs() <= cell.half).all())
