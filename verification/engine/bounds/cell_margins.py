"""Linear lower bounds of the margins over many cells at once (docs/bounds.md, "Cells")."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.bounds.cell import Cell
from verification.engine.bounds.enclosed import EnclosedBounds, refined_in
from verification.engine.bounds.fields import Fields
from verification.engine.bounds.lattice_images import LatticeImages
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.stem import Stem
from verification.engine.perturbation import FlowSpace
from verification.engine.relaxation import Enclosure, Rounding
from verification.engine.relaxation.rounding import LARGEST

#: Cells with more lattice lines of one direction inside are not worth it: they hardly ever prove anything.
MOST_LINES = 1
_AT_ONCE = 32  # cells; more are not faster, as measured on the demo
_IMAGES, _FEWEST = 1 << 28, 64  # bytes for what cells share, and how many of each kind there must be room for
_COPIES = 6  # of all values, in the memory of one cell


@dataclass(frozen=True)
class Margins:
    """Of one cell: every margin is at least `constants[c] + slopes[c] . z` with `a = centre + half z`, z in [-1, 1]^K.

    `constants` (C - 1,), `slopes` (C - 1, K), `centre` and `half` (K,), on the processor.
    """

    centre: Tensor
    half: Tensor
    constants: Tensor
    slopes: Tensor


class CellMargins:
    """Bounds cells of a problem whose space has few dimensions. `room`: bytes for what is bounded at once."""

    def __init__(self, problem: Problem, room: float = math.inf) -> None:
        assert isinstance(problem.space, FlowSpace)
        self.problem, self.space, self.room = problem, problem.space, room
        self.rounding = Rounding(rigorous=True)

    def too_wide(self, lower: Tensor, upper: Tensor) -> Tensor:
        """(B,): whether cells `lower`, `upper` (B, K) have so many lattice lines inside that they should be split at once."""
        lower, upper = lower.to(self._device), upper.to(self._device)
        return (self.fields.lines(lower / 2 + upper / 2, upper / 2 - lower / 2) > MOST_LINES).cpu()

    def __call__(self, lower: Tensor, upper: Tensor, refined: bool, check: Callable[[], None]) -> list[Margins | None]:
        """For each row of `lower` and `upper` (B, K), finite; None where a number became too large.

        `refined`: tighter, and several times as dear (`EnclosedBounds`).
        """
        found: list[Margins | None] = []
        lower, upper = lower.to(self._device), upper.to(self._device)
        with torch.no_grad():
            for low, high in zip(lower.split(self.at_once), upper.split(self.at_once), strict=True):
                found += self._bound(Cell.of(self.fields, low, high), refined, check)
        return found

    def _bound(self, cells: list[Cell], refined: bool, check: Callable[[], None]) -> list[Margins | None]:
        known = self._anchors(cells, check)
        numbers, dimensions, rounding = sorted(self._stem.anchors), self.fields.dimensions, self.rounding
        batch = [
            tuple(
                torch.stack([getattr(anchors[number], part) for anchors in known])
                for part in ("centre", "slopes", "error")
            )
            for number in numbers
        ]
        used = torch.stack([slopes.flatten(2).any(2).any(0) for _, slopes, _ in batch]).any(0)
        used[:dimensions] = True

        def bounds_of(*parts: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
            anchors = {number: Enclosure(*part) for number, part in zip(numbers, parts, strict=True)}
            bounds = EnclosedBounds(self._stem, anchors, rounding, self._refined if refined else (), check)
            return *bounds.margins(self.problem.label), bounds.largest

        constants, slopes, largest = torch.vmap(bounds_of)(
            *((centre, slopes[:, used], error) for centre, slopes, error in batch)
        )
        # What pixels share besides the displacement itself may be anything.
        shared = slopes[..., dimensions:].abs().sum(2) * (1 + rounding.gamma(slopes.shape[2]))
        constants = constants - shared - rounding.gamma(1) * (constants.abs() + shared)
        return [
            Margins(cell.centre.cpu(), cell.half.cpu(), constants[i].cpu(), slopes[i, :, :dimensions].cpu())
            if finite
            else None
            for i, (cell, finite) in enumerate(zip(cells, (largest < LARGEST).tolist(), strict=True))
        ]

    def _anchors(self, cells: list[Cell], check: Callable[[], None]) -> list[dict[int, Enclosure]]:
        """Those of each cell, from images that cells share or from its own clip."""
        if self._images is not None:
            return self._images.anchors(cells, check)
        return [self._stem.enclosures(cell.clip(self.problem.frames), self.rounding) for cell in cells]

    @property
    def fits(self) -> bool:
        """Whether there is room for one cell at least."""
        return self._size <= self.room

    @property
    def at_once(self) -> int:
        """How many cells are bounded at once: as many as there is room for, but few."""
        return max(1, min(_AT_ONCE, int(min(self.room, 1e18) / self._size)))

    @cached_property
    def _size(self) -> float:
        """Bytes that bounding a cell takes, about."""
        graph, inner = self.problem.graph, (MOST_LINES + 2) ** 2 - 4
        parameters = self.fields.dimensions + len(self.fields.told) * (1 + inner)
        stem = self._stem.anchors if self._images is not None else self._stem.numbers
        behind = set(range(len(graph.nodes) + 1)) - self._stem.numbers
        return 8 * _COPIES * (parameters + 2) * sum(graph.elements_of(value) for value in behind | stem)

    @property
    def _device(self) -> torch.device:
        return self.problem.frames.device

    @cached_property
    def fields(self) -> Fields:
        """What the coordinates do to the pixels."""
        return Fields.of(self.space, self._device)

    @cached_property
    def _stem(self) -> Stem:
        return Stem.of(self.problem.graph)

    @cached_property
    def _refined(self) -> frozenset[int]:
        return refined_in(self._stem)

    @cached_property
    def _images(self) -> LatticeImages | None:
        """What the cells share, in spaces whose pixels are of few kinds."""
        size = 8 * sum(self.problem.graph.elements_of(anchor) for anchor in self._stem.anchors)
        most = int(min(self.room, _IMAGES) / size)
        if not self.fields.all_told or most < _FEWEST * len(self.fields.told):
            return None
        return LatticeImages(self.problem.frames, self.fields, self._stem, self.rounding, most)
