"""The anchors of cells from clips that are shifted by whole pixels, each of which goes through the stem once.

All pixels of one kind move alike, and between lattice lines the frames are bilinear functions of the displacement. So what a
kind contributes to an anchor is bilinear between its contributions at whole-pixel displacements, which cells share.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from verification.engine.bounds.cell import Cell
from verification.engine.bounds.fields import Fields
from verification.engine.bounds.stem import Stem
from verification.engine.bounds.surface import Surface
from verification.engine.perturbation.imposition import warp
from verification.engine.relaxation import Enclosure, Rounding

_AT_ONCE = 8  # images that go through the stem together
_OPERATIONS = 256  # an ample number of those that each term of an anchor goes through behind the stem

_Point = tuple[int, int, int]  # a kind, and whole pixels along x and along y


class LatticeImages:
    """Enclosures of the anchors of cells, for clips whose moving pixels are all of kinds that are told apart.

    `most`: so many images are kept.
    """

    def __init__(self, frames: Tensor, fields: Fields, stem: Stem, rounding: Rounding, most: int) -> None:
        assert fields.all_told
        self.frames, self.fields, self.stem, self.rounding, self.most = frames.double(), fields, stem, rounding, most
        self._images: dict[_Point, dict[int, Tensor]] = {}
        rest = (self.frames * (1 - fields.members.sum(0)).unsqueeze(1)).unsqueeze(0)
        nothing, everything = torch.zeros_like(rest), torch.ones_like(rest)
        self._brightest = self.frames.abs().amax()
        self._rest = self._through(rest, nothing[None, :0].transpose(0, 1), nothing)
        #: What one of an anchor's terms may be off, and how large such a term, the terms of rounding included, can be.
        off = self._through(nothing, everything.unsqueeze(0) * self._brightest, nothing)
        size = self._through(nothing, nothing.unsqueeze(0), everything)
        self._off = {anchor: 2 * found.error for anchor, found in off.items()}
        self._size = {anchor: found.error for anchor, found in size.items()}

    def _through(self, centre: Tensor, slopes: Tensor, error: Tensor) -> dict[int, Enclosure]:
        return self.stem.enclosures(Enclosure(centre, slopes, error), self.rounding)

    def anchors(self, cells: Sequence[Cell], check: Callable[[], None]) -> list[dict[int, Enclosure]]:
        """Those of each cell; cells that were made together have the same parameters."""
        return [self._anchors(cell, check) for cell in cells]

    def _anchors(self, cell: Cell, check: Callable[[], None]) -> dict[int, Enclosure]:
        """As functions of the parameters of `Cell.clip`."""
        kinds = self.fields.told.tolist()
        patches = [self._patch(cell, position, kind, check) for position, kind in enumerate(kinds)]
        lost = cell.lost(self._brightest)[self.fields.told].amax() + len(kinds) * self.rounding.gamma(_OPERATIONS)
        return {
            anchor: self._joined(cell, anchor, [patch[anchor] for patch in patches], lost)
            for anchor in self.stem.anchors
        }

    def _joined(self, cell: Cell, anchor: int, patches: Sequence[Surface], lost: Tensor) -> Enclosure:
        """An anchor's enclosure from what each kind contributes to it."""
        rest = self._rest[anchor]
        moves = (cell.half.view(-1, 1, 1) * self.fields.kinds[:, :, self.fields.told]).permute(2, 0, 1)  # (G, K, 2)
        linear = sum(
            (torch.tensordot(move, patch.slopes, 1) for move, patch in zip(moves, patches, strict=True)),
            rest.centre.new_zeros((len(cell.half), *rest.centre.shape)),
        )
        # In the order of `Cell.clip`: for each function all kinds.
        shared = torch.stack([patch.shared for patch in patches], 1).flatten(0, 1)
        error = rest.error + len(patches) * self._off[anchor] + lost * self._size[anchor]
        return Enclosure(
            rest.centre + torch.stack([patch.middle for patch in patches]).sum(0),
            torch.cat([linear, shared]),
            (error + torch.stack([patch.error for patch in patches]).sum(0)) * (1 + self.rounding.gamma(_OPERATIONS)),
        )

    def _patch(self, cell: Cell, position: int, kind: int, check: Callable[[], None]) -> dict[int, Surface]:
        """What a kind contributes to the anchors, as a function of its displacement."""
        x, y = (steps[:, kind] for steps in cell.nodes)
        place = cell.centre @ self.fields.kinds[:, :, kind]
        across = self._between(place[0] + x, self.frames.shape[3] - 1)
        down = self._between(place[1] + y, self.frames.shape[2] - 1)
        columns, rows = (sorted({n for corners in axis for n, _ in corners}) for axis in (across, down))
        points = [(position, column, row) for column in columns for row in rows]
        self._provide(points, check)
        shares = [_matrix(axis, whole).to(x) for axis, whole in ((across, columns), (down, rows))]
        found = {}
        for anchor in self.stem.anchors:
            images = torch.stack([self._images[point][anchor] for point in points])
            images = images.unflatten(0, (len(columns), len(rows)))
            seen = torch.einsum("sc,tr,cr...->st...", *shares, images)
            flat = (-1, *[1] * (images.dim() - 2))
            found[anchor] = Surface.through(seen, x.view(flat), y.view(flat), torch.ones_like(x[0], dtype=torch.bool))
        return found

    def _between(self, places: Tensor, farthest: int) -> list[list[tuple[int, float]]]:
        """For each place the whole numbers next to it, and their shares; beyond the frame's edges nothing changes."""
        found = []
        for place in places.clamp(-farthest, farthest).tolist():
            first = int(place // 1)
            share = place - first
            found.append([(first, 1 - share), (first + 1, share)] if share else [(first, 1.0)])
        return found

    def _provide(self, points: Sequence[_Point], check: Callable[[], None]) -> None:
        """Send what is not there yet through the stem."""
        missing = [point for point in points if point not in self._images]
        if missing and len(self._images) + len(missing) > self.most:
            self._images = {point: image for point, image in self._images.items() if point in points}
        for start in range(0, len(missing), _AT_ONCE):
            check()
            part = missing[start : start + _AT_ONCE]
            clips = torch.stack([self._shifted(*point) for point in part]).unsqueeze(1)
            for anchor, images in self.stem.changes(clips).items():
                for point, image in zip(part, images.unbind(0), strict=True):
                    self._images.setdefault(point, {})[anchor] = image.clone()

    def _shifted(self, position: int, across: int, down: int) -> Tensor:
        """(l, 3, h, w): the frames with the displacement of whole pixels, where pixels are of the kind; zero elsewhere."""
        place = (
            self.frames.new_tensor([across, down]).view(1, 2, 1, 1).expand(len(self.frames), 2, *self.frames.shape[2:])
        )
        return warp(self.frames, place) * self.fields.members[position].unsqueeze(1)


def _matrix(corners: Sequence[Sequence[tuple[int, float]]], whole: Sequence[int]) -> Tensor:
    """(nodes, whole numbers): the shares as a matrix."""
    matrix = torch.zeros(len(corners), len(whole), dtype=torch.float64)
    for row, shares in enumerate(corners):
        for number, share in shares:
            matrix[row, whole.index(number)] = share
    return matrix
