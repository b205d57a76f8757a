"""What the coordinates of a space do to the pixels of a clip, for cells (docs/bounds.md, "Cells")."""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.perturbation import FlowSpace

#: Lattice lines so near to a side of a cell, in pixels, count as that side.
NEAR = 1e-10
_MOST_KINDS = 16  # that are told apart


@dataclass(frozen=True)
class Fields:
    """The displacements of a clip's pixels for each coordinate of a space, in float64, pixels.

    `values`: (K, l, 2, h, w). `still`: so many frames at the beginning never move. `kinds`: (K, 2, U), the same without
    repetition, because most spaces move many pixels alike, and `index` (l, h, w): of which kind a pixel is. `told`: (G,) the
    kinds that move, none where these are too many, and `members` (G, l, h, w): 1 where a pixel is of one of them.
    """

    values: Tensor
    still: int
    kinds: Tensor
    index: Tensor
    told: Tensor
    members: Tensor

    @classmethod
    def of(cls, space: FlowSpace, device: torch.device) -> "Fields":
        unit = torch.eye(space.dimensions, dtype=torch.float64, device=device)
        values = torch.stack([space.motion(space.lift(row.view(space.shape))) for row in unit])
        dimensions, length, _, height, width = values.shape
        pixels = values.permute(0, 2, 1, 3, 4).reshape(2 * dimensions, -1)
        kinds, index = pixels.unique(dim=1, return_inverse=True)
        index = index.view(length, height, width)
        moving = (kinds != 0).any(0)
        moves = moving[index].flatten(1).any(1).long()
        told = moving.nonzero()[:, 0] if int(moving.sum()) <= _MOST_KINDS else index.new_zeros(0)
        members = (index == told[:, None, None, None]).double()
        still = int(moves.argmax()) if bool(moves.any()) else length
        return cls(values, still, kinds.view(dimensions, 2, -1), index, told, members)

    @property
    def dimensions(self) -> int:
        return len(self.values)

    @property
    def all_told(self) -> bool:
        """Whether every pixel that moves is of a kind that is told apart."""
        return len(self.told) == int((self.kinds != 0).flatten(0, 1).any(0).sum())

    @property
    def reach(self) -> Tensor:
        """(K,): the farthest that a unit of each coordinate moves any pixel, along x or along y."""
        return self.values.abs().flatten(1).amax(1)

    def lines(self, centres: Tensor, halves: Tensor) -> Tensor:
        """(B,): the most lattice lines of one direction that any pixel crosses in cells `centres`, `halves` (B, K)."""
        counts = [last - first + 1 for first, last, *_ in self._between(centres, halves)]
        return torch.stack([count.amax(1) for count in counts]).amax(0).clamp(min=0)

    def nodes(self, centres: Tensor, halves: Tensor) -> tuple[Tensor, Tensor]:
        """Along x and along y where the sides of cells and the lattice lines within are, for each kind; (B, S, U).

        Displacements from the centre's, rising, for cells with these centres and half widths (B, K). A cell with fewer lines
        than another repeats its last one, or a side.
        """
        found = []
        for first, last, place, reach in self._between(centres, halves):
            most = int((last - first).amax()) + 1
            steps = [torch.minimum(first + n, last) - place for n in range(most)]
            lines = [torch.where(first <= last, step, reach).clamp(-reach, reach) for step in steps]
            found.append(torch.stack([-reach, *lines, reach], 1))
        return found[0], found[1]

    def _between(self, centres: Tensor, halves: Tensor) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """For x and y, (B, U): the first and the last lattice line inside, the centre's displacement, and the reach from there.

        Beyond the frame's edges there are no lines: displacements are alike there.
        """
        found = []
        for axis, size in enumerate((self.values.shape[4], self.values.shape[3])):
            place, reach = centres @ self.kinds[:, axis], halves @ self.kinds[:, axis].abs()
            first = ((place - reach + NEAR).floor() + 1).clamp(min=1 - size)
            last = ((place + reach - NEAR).ceil() - 1).clamp(max=size - 1)
            found.append((first, last, place, reach))
        return found
