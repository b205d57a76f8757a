"""Which pixels the elements of a value see, and how often their views overlap (docs/bounds.md, section 9).

Where the pixels share the radius, so do places that look at different pixels: not all of them can be led astray at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

#: As many places to each pixel's view as make it worth while to tell them apart.
_MANY = 4
#: In view of no more places than this a pixel may be.
CROWD = 16


@dataclass(frozen=True)
class Side:
    """The views along one side of the picture: place i sees the pixels from `first[i]` to `last[i]`, exclusive, of `length`.

    `axis`: of the value, along which the places lie.
    """

    axis: int
    first: Tensor
    last: Tensor
    length: int

    @cached_property
    def covered(self) -> Tensor:
        """(length,): how many places see each pixel."""
        return self.seen(torch.arange(len(self.first)), torch.arange(self.length)).sum(0)

    @property
    def overlap(self) -> int:
        return max(1, int(self.covered.max()))

    def seen(self, places: Tensor, pixels: Tensor) -> Tensor:
        """(..., places, pixels) bool: who sees whom; none where an index lies outside."""
        index = places.clamp(0, len(self.first) - 1)
        first, last = self.first[index].unsqueeze(-1), self.last[index].unsqueeze(-1)
        inside = ((places >= 0) & (places < len(self.first))).unsqueeze(-1)
        return inside & (pixels.unsqueeze(-2) >= first) & (pixels.unsqueeze(-2) < last)

    def shares(self, places: Tensor, pixels: Tensor) -> Tensor:
        """The same as weights: each pixel is divided between all places that see it."""
        count = self.covered[pixels.clamp(0, self.length - 1)].clamp(min=1)
        return self.seen(places, pixels).double() / count.unsqueeze(-2)


@dataclass(frozen=True)
class Place:
    """Of each of P functionals the place that it belongs to: `index` (P, 2), row and column in the grid of `places`."""

    places: "Places"
    index: Tensor

    def weights(self, pixels: Sequence[Tensor]) -> list[Tensor]:
        """Which part of the rows and columns at `pixels`, (P, n) each, counts for the place: (P, n) each."""
        sides = (self.places.rows, self.places.columns)
        index = self.index.unbind(1)
        return [side.shares(i[:, None], at)[:, 0] for side, i, at in zip(sides, index, pixels, strict=True)]


@dataclass(frozen=True)
class Places:
    """The places of a value, a grid of `rows` and `columns`. Elements that differ along other axes see the same pixels."""

    rows: Side
    columns: Side

    def sees_like(self, other: "Places") -> bool:
        """Whether the places of both see the same pixels."""
        sides = zip((self.rows, self.columns), (other.rows, other.columns), strict=True)
        return all(a.axis == b.axis and torch.equal(a.first, b.first) and torch.equal(a.last, b.last) for a, b in sides)

    @property
    def axes(self) -> tuple[int, int]:
        return self.rows.axis, self.columns.axis

    @property
    def overlap(self) -> int:
        """The most places that see one pixel."""
        return self.rows.overlap * self.columns.overlap

    @property
    def crowding(self) -> float:
        """The overlap as a part of all places: 1 if all may see the same pixel."""
        return self.overlap / (len(self.rows.first) * len(self.columns.first))

    @property
    def many(self) -> bool:
        return self.overlap <= CROWD and self.crowding <= 1 / _MANY


def places_of(views: Tensor, axes: tuple[int, ...], height: int, width: int) -> Places | None:
    """`views` (*sizes along axes, 4): first row and column that are seen, and the last ones, exclusive; int64, CPU.

    None unless the rows vary along one axis alone and the columns along another.
    """
    limits = torch.tensor([height, width, height, width])
    views = torch.minimum(views.clamp(min=0), limits)
    sides = []
    for side, length in ((0, height), (1, width)):
        ends = views[..., [side, side + 2]]
        varied = [i for i in range(len(axes)) if bool((ends != ends.narrow(i, 0, 1)).any())]
        if len(varied) != 1:
            return None
        for i in range(len(axes)):
            if i != varied[0]:
                ends = ends.narrow(i, 0, 1)
        first, last = ends.reshape(-1, 2).unbind(1)
        sides.append(Side(axes[varied[0]], first, last, length))
    return None if sides[0].axis == sides[1].axis else Places(*sides)
