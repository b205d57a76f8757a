"""Cells of small networks, points in them, and the referee that says whether what is told about cells holds.

The referee never trusts a bound rule: it evaluates the graph concretely in float64 on points of a cell, random ones and ones on
its sides and corners, and reports by how much anything leaves what was told of it.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tests.engine.bounding import CPU, concrete_values, make_frames, make_graph, make_space
from verification.engine.bounds.cell import Cell
from verification.engine.bounds.cell_margins import CellMargins, Margins
from verification.engine.bounds.enclosed import EnclosedBounds, refined_in
from verification.engine.bounds.fields import Fields
from verification.engine.bounds.lattice_images import LatticeImages
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.stem import Stem
from verification.engine.perturbation import FlowSpace, Norm
from verification.engine.relaxation import Enclosure, Rounding

RIGOROUS = Rounding(rigorous=True)
IMAGES = 256  # that are kept: enough for all that cells of these tests ask for


def unchecked() -> None:
    """A `check` that never stops anything."""


def make_problem(
    name: str, kind: str, norm: Norm = Norm.L2, flows: tuple[int, ...] | None = None, seed: int = 5
) -> Problem:
    """What is to be verified about a network of `NETWORKS` in a space of flows."""
    frames = make_frames(seed + 2)
    graph = make_graph(name, seed).cast(torch.float64, CPU)
    label = int(graph(frames.double().unsqueeze(0)).argmax())
    return Problem(graph, frames, make_space(kind, frames, flows), norm, label)


def some_cells(dimensions: int, seed: int, size: float = 1.0) -> tuple[Tensor, Tensor]:
    """Six cells, `lower` and `upper` (6, K): thin, narrow, and wide ones, on lattice lines and beyond the frame's edges.

    `size`: how far from zero they are, and how wide, in pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    centres = size * 1.5 * torch.randn((6, dimensions), generator=generator, dtype=torch.float64)
    halves = size * torch.tensor([0.0, 0.01, 0.3, 0.5, 1.2, 0.4], dtype=torch.float64).view(6, 1)
    centres[1] = size * centres[1].round()  # a lattice line in the middle
    centres[3] = size * (centres[3].round() + 0.5)  # sides on lattice lines
    centres[5] *= 20
    widths = halves * torch.where(torch.rand(centres.shape, generator=generator) < 0.9, 1.0, 0.0)
    return centres - widths, centres + widths


def points_of(lower: Tensor, upper: Tensor, count: int, seed: int) -> Tensor:
    """(count, K): points of a cell, by turns corners, anywhere, and on some of its sides."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.rand((count, len(lower)), generator=generator, dtype=torch.float64)
    shares[0::3] = shares[0::3].round()
    shares[2::3] = (1.8 * shares[2::3] - 0.4).clamp(0, 1)
    return (lower + (upper - lower) * shares).clamp(lower, upper)


def share_of(a: Tensor, centre: Tensor, half: Tensor) -> Tensor:
    """The parameters z, in [-1, 1], of a point of a cell."""
    return ((a - centre) / half.clamp(min=1e-300)).clamp(-1, 1)


def margins_of(problem: Problem, a: Tensor) -> Tensor:
    """(C - 1,): the margins of a point, in the order of the other classes."""
    logits = problem.logits(a.view(problem.space.shape))
    others = [c for c in range(len(logits)) if c != problem.label]
    return logits[problem.label] - logits[others]


def margin_excess(problem: Problem, told: Margins, points: Tensor) -> float:
    """By how much a linear bound of a margin is above it, at worst."""
    worst = -float("inf")
    for a in points:
        bound = told.constants + told.slopes @ share_of(a, told.centre, told.half)
        worst = max(worst, float((bound - margins_of(problem, a)).max()))
    return worst


def worst_margin(problem: Problem, lower: Tensor, upper: Tensor, refined: bool, count: int, seed: int) -> float:
    """The worst of all cells `lower`, `upper` (B, K), each by `count` points; all of them must be told of."""
    found = CellMargins(problem)(lower, upper, refined, unchecked)
    assert len(found) == len(lower)
    worst = -float("inf")
    for number, (low, high, told) in enumerate(zip(lower, upper, found, strict=True)):
        assert told is not None
        worst = max(worst, margin_excess(problem, told, points_of(low, high, count, seed + number)))
    return worst


def anchors_of(problem: Problem, stem: Stem, lower: Tensor, upper: Tensor) -> list[tuple[Cell, dict[int, Enclosure]]]:
    """Cells with the enclosures of their anchors: from images at whole pixels where there are any, or else from their clips."""
    assert isinstance(problem.space, FlowSpace)
    fields = Fields.of(problem.space, CPU)
    cells = Cell.of(fields, lower, upper)
    if fields.all_told:
        known = LatticeImages(problem.frames, fields, stem, RIGOROUS, IMAGES).anchors(cells, unchecked)
    else:
        known = [stem.enclosures(cell.clip(problem.frames), RIGOROUS) for cell in cells]
    return list(zip(cells, known, strict=True))


def enclosure_excess(told: Enclosure, value: Tensor, z: Tensor) -> float:
    """By how much a value leaves its enclosure at the coordinates `z` (K,): the other parameters may be anything."""
    linear = torch.einsum("k,k...->...", z, told.slopes[: len(z)])
    free = told.slopes[len(z) :].abs().sum(0)
    return float(((value - told.centre - linear).abs() - told.error - free).max())


def worst_value(
    problem: Problem,
    lower: Tensor,
    upper: Tensor,
    refined: bool,
    count: int,
    seed: int,
    anchors: Callable[..., list[tuple[Cell, dict[int, Enclosure]]]] = anchors_of,
) -> float:
    """By how much any value of any point of the cells leaves its enclosure or its interval, at worst."""
    stem, worst = Stem.of(problem.graph), -float("inf")
    for number, (cell, known) in enumerate(anchors(problem, stem, lower, upper)):
        chosen = refined_in(stem) if refined else {}
        bounds = EnclosedBounds(stem, known, RIGOROUS, chosen, unchecked)
        for a in points_of(cell.lower, cell.upper, count, seed + number):
            values = concrete_values(problem.graph, problem.perturbed(a.view(problem.space.shape)))
            z = share_of(a, cell.centre, cell.half)
            for node, told in bounds.enclosures.items():
                worst = max(worst, enclosure_excess(told, values[node], z))
            for box, value in zip(bounds.boxes, values, strict=True):
                worst = max(worst, float((box.lower - value).max()), float((value - box.upper).max()))
    return worst
