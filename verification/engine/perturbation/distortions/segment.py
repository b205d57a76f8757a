"""The values of a picture along straight lines, against straight lines between the values at their ends.

Between two lines of the lattice such a value is a quadratic function of the place on the way (docs/distortions.md, "Warps").
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.perturbation.distortions.lattice import Lattice, Slopes, joined

#: Pixels: a line of the lattice so near to an end of a way is not crossed by it.
NEAR = 1e-11


@dataclass(frozen=True)
class Segment:
    """For every pixel of a lattice the way `start + t step`, t from 0 to 1; `start`, `step` (n, 2, h, w), along x and along y.

    The path itself begins and ends where it does, and between is off it by at least `before`, which is not positive, and at
    most `behind`, which is not negative; (n, 2, h, w) each.
    """

    lattice: Lattice
    start: Tensor
    step: Tensor
    before: Tensor
    behind: Tensor

    @cached_property
    def ends(self) -> tuple[Tensor, Tensor]:
        """(n, C, h, w) each: the values at the ends."""
        return self._at(torch.zeros_like(self.step[:, :1])), self._at(torch.ones_like(self.step[:, :1]))

    @cached_property
    def _slopes(self) -> tuple[Slopes, Slopes]:
        """Those that the path can meet, along x and along y."""
        return self.lattice.slopes(*self._between(self.before, self.behind))

    @property
    def astray(self) -> tuple[Tensor, Tensor]:
        """(n, C, h, w) each: the value on the path less that on the way at the same time is at least, and at most, so much."""
        before, behind = self.before.split(1, 1), self.behind.split(1, 1)
        parts = []
        for axis, slopes in enumerate(self._slopes):
            one, other = slopes.times(before[axis]), slopes.times(behind[axis])
            parts.append((torch.minimum(one.least, other.least), torch.maximum(one.greatest, other.greatest)))
        return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]

    @property
    def deviations(self) -> tuple[Tensor, Tensor]:
        """(n, C, h, w) each: on the way the value less that of the line from end to end is at least, and at most, so much."""
        near = torch.full_like(self.step, NEAR)
        first, last = self._between(near, -near)
        few = (last - first).amax(1, keepdim=True) <= self.lattice.lines
        least, most = self._nodes(first, last)
        hump = self._hump()
        return torch.where(few, least, -hump), torch.where(few, most, hump)

    def _at(self, share: Tensor) -> Tensor:
        return self.lattice.values(self.start + share * self.step)

    def _between(self, before: Tensor, behind: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of the first and of the last cell where the way and what lies between `before` and `behind` of it meet."""
        end = self.start + self.step
        first = self.lattice.cells(torch.minimum(self.start, end) + before)
        beyond = (torch.maximum(self.start, end) + behind).ceil() - 1
        last = torch.minimum(beyond, self.lattice.last).clamp(min=-1)
        return first, torch.maximum(first, last)

    def _nodes(self, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """The deviations by the values where lines of the lattice are crossed: behind `first`, but no more than the last ones."""
        shares = []
        for back in range(self.lattice.lines):
            line = last - back
            crossed = line > first
            share = (line - self.start) / torch.where(crossed, self.step, 1.0)
            shares.append(torch.where(crossed, share, 1.0).clamp(0, 1))
        start, rise = self.ends[0], self.ends[1] - self.ends[0]
        turn = self.step[:, :1] * self.step[:, 1:] / 4
        least, most = torch.zeros_like(start), torch.zeros_like(start)
        before = begin = torch.zeros_like(turn)
        for end in (*torch.cat(shares, 1).sort(1).values.split(1, 1), None):
            when = torch.ones_like(turn) if end is None else end
            behind = torch.zeros_like(turn) if end is None else self._at(when) - start - when * rise
            cells = self.lattice.cells(self.start + (begin + when) / 2 * self.step)
            bow = self.lattice.twists(cells) * (turn * (when - begin).square())
            least = torch.minimum(least, torch.minimum(before, behind) - bow.clamp(min=0))
            most = torch.maximum(most, torch.maximum(before, behind) - bow.clamp(max=0))
            before, begin = behind, when
        return least, most

    def _hump(self) -> Tensor:
        """How far the value can be from the line between the ends, whose slopes on the way are all within bounds."""
        across, down = self.step.split(1, 1)
        slopes = joined([self._slopes[0].times(across), self._slopes[1].times(down)])
        rise = self.ends[1] - self.ends[0]
        above, below = (slopes.greatest - rise).clamp(min=0), (rise - slopes.least).clamp(min=0)
        return above * below / (above + below).clamp(min=1e-300)
