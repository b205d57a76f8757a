"""Linear lower bounds of the margins over many cells at once (docs/bounds.md, "Cells")."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.bounds.enclosed import EnclosedBounds, Refined, refined_in, waisted_in
from verification.engine.bounds.families import Anchored, ClipFamily, DistortedClips, MovedClips
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.stem import Stem
from verification.engine.perturbation import Distortion, FlowSpace
from verification.engine.relaxation import Enclosure, Rounding
from verification.engine.relaxation.rounding import LARGEST

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
        assert isinstance(problem.space, FlowSpace | Distortion)
        self.problem, self.space, self.room = problem, problem.space, room
        self.rounding = Rounding(rigorous=True)

    def too_wide(self, lower: Tensor, upper: Tensor) -> Tensor:
        """(B,): whether cells `lower`, `upper` (B, K) are so wide that they should be split at once."""
        return self.family.too_wide(lower.to(self._device), upper.to(self._device)).cpu()

    def __call__(self, lower: Tensor, upper: Tensor, refined: bool, check: Callable[[], None]) -> list[Margins | None]:
        """For each row of `lower` and `upper` (B, K), finite; None where a number became too large.

        `refined`: tighter, and several times as dear (`EnclosedBounds`).
        """
        found: list[Margins | None] = []
        lower, upper = lower.to(self._device), upper.to(self._device)
        with torch.no_grad():
            for low, high in zip(lower.split(self.at_once), upper.split(self.at_once), strict=True):
                found += self._bound(self.family.anchored(low, high, check), refined, check)
        return found

    def _bound(self, cells: Sequence[Anchored], refined: bool, check: Callable[[], None]) -> list[Margins | None]:
        numbers, dimensions, rounding = sorted(self._stem.anchors), self.family.dimensions, self.rounding
        batch = [
            tuple(
                torch.stack([getattr(cell.anchors[number], part) for cell in cells])
                for part in ("centre", "slopes", "error")
            )
            for number in numbers
        ]
        used = torch.stack([slopes.flatten(2).any(2).any(0) for _, slopes, _ in batch]).any(0)
        used[:dimensions] = True

        def bounds_of(*parts: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
            anchors = {number: Enclosure(*part) for number, part in zip(numbers, parts, strict=True)}
            bounds = EnclosedBounds(self._stem, anchors, rounding, self._refined if refined else {}, check)
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
        graph, family = self.problem.graph, self.family
        parameters = family.dimensions + family.shared
        alone = isinstance(family, MovedClips) and family.images is not None
        stem = self._stem.anchors if alone else self._stem.numbers
        behind = set(range(len(graph.nodes) + 1)) - self._stem.numbers
        return 8 * _COPIES * (parameters + 2) * sum(graph.elements_of(value) for value in behind | stem)

    @property
    def _device(self) -> torch.device:
        return self.problem.frames.device

    @cached_property
    def family(self) -> ClipFamily:
        """The clips that the coordinates make."""
        frames, space = self.problem.frames, self.space
        if isinstance(space, Distortion):
            return DistortedClips(frames, space, self._stem, self.rounding)
        return MovedClips(frames, space, self._stem, self.rounding, min(self.room, _IMAGES), _FEWEST)

    @cached_property
    def _stem(self) -> Stem:
        return Stem.of(self.problem.graph)

    @cached_property
    def _refined(self) -> Refined:
        return waisted_in(self._stem) if self.large else refined_in(self._stem)

    @cached_property
    def large(self) -> bool:
        """Whether bounds of a distortion are worth nothing unless they are `refined`: the anchors are too large otherwise."""
        return isinstance(self.space, Distortion) and not refined_in(self._stem)
