"""Families of clips with few parameters, as cells need them: what a box of coordinates makes of the clip.

Of flows the family is `MovedClips`, with kinds of displacements and lattice lines; of natural distortions `DistortedClips`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from verification.engine.bounds.cell import ROUNDING, Box, Cell
from verification.engine.bounds.enclosed import EnclosedBounds
from verification.engine.bounds.fields import Fields
from verification.engine.bounds.lattice_images import LatticeImages
from verification.engine.bounds.stem import Stem
from verification.engine.network.graph import Graph
from verification.engine.perturbation import Distortion, FlowSpace
from verification.engine.relaxation import Enclosure, Rounding

#: Cells with more lattice lines of one direction inside are not worth it: they hardly ever prove anything.
MOST_LINES = 1
_SEEN = 16  # steps away from the clip at which a picture looks where a distortion acts


@dataclass(frozen=True)
class Anchored:
    """A cell: `a = centre + half z` with z in [-1, 1]^K reaches all of its coordinates, (K,) each; and the stem's `anchors`."""

    centre: Tensor
    half: Tensor
    anchors: dict[int, Enclosure]


class ClipFamily(Protocol):
    """The clips that K coordinates make. `reach`: (K,) how much a unit of each coordinate weighs where a cell is cut.

    `shared`: how many further parameters, in [-1, 1], the enclosures of a cell have. `whole`: whether whole numbers of a
    coordinate are better places to cut than others.
    """

    dimensions: int
    whole: bool

    @property
    def reach(self) -> Tensor: ...

    @property
    def shared(self) -> int: ...

    def too_wide(self, lower: Tensor, upper: Tensor) -> Tensor:
        """(B,) bool: whether cells `lower`, `upper` (B, K) should be split before they are bounded."""

    def anchored(self, lower: Tensor, upper: Tensor, check: Callable[[], None]) -> list[Anchored]:
        """For each row of `lower` and `upper` (B, K), finite; the anchors are enclosed with `dimensions + shared` parameters."""

    def heat(self, weights: Tensor) -> Tensor:
        """(h, w): where in the frames the coordinates act, if each is chosen as often as `weights` (K,) say."""


class MovedClips:
    """Clips with another flow. `room`: bytes for images that cells share, of which there must be `fewest` of each kind."""

    whole = True

    def __init__(
        self, frames: Tensor, space: FlowSpace, stem: Stem, rounding: Rounding, room: float, fewest: int
    ) -> None:
        self.frames, self.space, self.stem, self.rounding = frames, space, stem, rounding
        self.dimensions = space.dimensions
        self._room, self._fewest = room, fewest

    @cached_property
    def fields(self) -> Fields:
        """What the coordinates do to the pixels."""
        return Fields.of(self.space, self.frames.device)

    @property
    def reach(self) -> Tensor:
        return self.fields.reach

    @property
    def shared(self) -> int:
        return len(self.fields.told) * (1 + (MOST_LINES + 2) ** 2 - 4)

    @cached_property
    def images(self) -> LatticeImages | None:
        """What the cells share, in spaces whose pixels are of few kinds."""
        size = 8 * sum(self.stem.graph.elements_of(anchor) for anchor in self.stem.anchors)
        most = int(self._room / size)
        if not self.fields.all_told or most < self._fewest * len(self.fields.told):
            return None
        return LatticeImages(self.frames, self.fields, self.stem, self.rounding, most)

    def too_wide(self, lower: Tensor, upper: Tensor) -> Tensor:
        return self.fields.lines(lower / 2 + upper / 2, upper / 2 - lower / 2) > MOST_LINES

    def anchored(self, lower: Tensor, upper: Tensor, check: Callable[[], None]) -> list[Anchored]:
        """From images that cells share or from each cell's own clip."""
        cells = Cell.of(self.fields, lower, upper)
        if self.images is not None:
            anchors = self.images.anchors(cells, check)
        else:
            anchors = [self.stem.enclosures(cell.clip(self.frames), self.rounding) for cell in cells]
        return [Anchored(cell.centre, cell.half, known) for cell, known in zip(cells, anchors, strict=True)]

    def heat(self, weights: Tensor) -> Tensor:
        return self.moved(weights.to(self.fields.values)).sum((0, 1))

    def moved(self, weights: Tensor) -> Tensor:
        """(K, 2, h, w): how far each coordinate, chosen as often as `weights` (K,) say, moves pixels over all frames."""
        return torch.einsum("k,klcyx->kcyx", weights, self.fields.values.abs())


class ParameterBox(Box):
    """The parameters of distortions."""

    @property
    def enclosure(self) -> Enclosure:
        """The parameters (1, K) as functions of z: themselves."""
        centre = self.centre.unsqueeze(0)
        # The product and the sum by which z gives p are rounded as well.
        lost = ROUNDING * 4 * (centre.abs() + self.half)
        return Enclosure(centre, torch.diag_embed(self.half).unsqueeze(1), lost)


class DistortedClips:
    """Clips under a natural distortion: its operations stand before the network, and are bounded in the same way."""

    whole = False
    shared = 0

    def __init__(self, frames: Tensor, space: Distortion, stem: Stem, rounding: Rounding) -> None:
        self.frames, self.space, self.stem, self.rounding = frames, space, stem, rounding
        self.dimensions = space.dimensions

    @cached_property
    def _before(self) -> Stem:
        """The distortion's graph, of which nothing is taken to be affine."""
        return Stem(self._graph, frozenset({0}))

    @cached_property
    def _graph(self) -> Graph:
        return self.space.graph(self.frames).cast(self.rounding.dtype, self.frames.device)

    @cached_property
    def reach(self) -> Tensor:
        """Shares of what there is to choose from, so that parameters of different kinds can be compared."""
        return self.space.shares.to(self.frames.device)

    def too_wide(self, lower: Tensor, upper: Tensor) -> Tensor:
        return torch.zeros(len(lower), dtype=torch.bool, device=lower.device)

    def anchored(self, lower: Tensor, upper: Tensor, check: Callable[[], None]) -> list[Anchored]:
        boxes = [ParameterBox(low, high) for low, high in zip(lower, upper, strict=True)]
        return [Anchored(b.centre, b.half, self.stem.enclosures(self.clip(b, check), self.rounding)) for b in boxes]

    def clip(self, cell: ParameterBox, check: Callable[[], None]) -> Enclosure:
        """The distorted clips of a cell, (1, l, 3, h, w) as a function of z."""
        bounds = EnclosedBounds(self._before, {0: cell.enclosure}, self.rounding, {}, check)
        return bounds.enclosures[len(self._graph.nodes)]

    def heat(self, weights: Tensor) -> Tensor:
        """By how far values change a little way from the clip, to both sides, with each coordinate that counts."""
        ends = [end.to(self.frames.device) / _SEEN for end in self.space.domain()]
        total = torch.zeros(self.frames.shape[2:], dtype=torch.float64, device=self.frames.device)
        for number, parameter in enumerate(self.space.parameters):
            if parameter.counts:
                for end in ends:
                    alone = torch.zeros_like(end)
                    alone[number] = end[number]
                    total += float(weights[number]) * self.space.change(self.frames.double(), alone).abs().sum((0, 1))
        return total
