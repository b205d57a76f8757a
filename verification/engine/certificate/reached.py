"""All clips within a ball of perturbations, as the checker bounds them: the range of every pixel, and of linear functionals.

Every pixel of a clip whose flow was changed is `F(x - D)`. Along the row from x to x - D_x, then along the column, it changes by
`-slope D` with slopes between two points of the interpolated frame. Their extremes on each side of zero are taken at whole
steps and at the ends (docs/bounds.md, "The warp", which the search derives in the same way and computes by code of its own).
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from verification.engine.certificate.dual import LOST, Dual
from verification.engine.certificate.forms import gamma
from verification.engine.errors import UnsupportedOperationError
from verification.engine.perturbation import FlowSpace, Norm, Space
from verification.engine.perturbation.spaces.pixels import Pixels

_FAR = 5.0  # pixels; farther away slopes are bounded by the extremes of all those on the way
_SHARES = (0.1, 0.2, 0.45)  # of the radius, for one pixel: in L2 most take little of it
_SLOPES = 1e-14  # what a difference of pixels may be off
_OUTWARD = 1 + 1e-12


class Reached(ABC):
    """All clips (l, 3, h, w) that perturbations of norm at most a radius make."""

    @abstractmethod
    def box(self) -> tuple[Tensor, Tensor]:
        """The least and the greatest value of every pixel, (1, l, 3, h, w), rounded outward."""

    @abstractmethod
    def least(self, functionals: Tensor) -> Tensor:
        """(N,): a lower bound of `functionals` (N, 1, l, 3, h, w) over all clips, rounded down."""


def reached(frames: Tensor, space: Space, norm: Norm, radius: float) -> Reached:
    """For frames (l, 3, h, w) float64 in [0, 1]. Raises UnsupportedOperationError for a space that has no rule."""
    if isinstance(space, FlowSpace):
        return ReachedByFlow(frames, space, norm, radius)
    if isinstance(space, Pixels):
        return ReachedByPixels(frames, norm, radius)
    raise UnsupportedOperationError(f"cannot check: space {space.name!r}")


@dataclass(frozen=True)
class ReachedByPixels(Reached):
    """`v' = clip(v + a, 0, 1)`: the clips with values in [0, 1] whose distance from v is at most the radius."""

    frames: Tensor
    norm: Norm
    radius: float

    def box(self) -> tuple[Tensor, Tensor]:
        slack = self.radius * _OUTWARD + 1e-15
        return (self.frames - slack).clamp(0, 1)[None], (self.frames + slack).clamp(0, 1)[None]

    def least(self, functionals: Tensor) -> Tensor:
        """Over the box of all pixels, and by Hoelder's inequality over the ball: the better of both."""
        a = functionals.flatten(1)
        low, high = (side.flatten() for side in self.box())
        box = a.clamp(min=0) @ low + a.clamp(max=0) @ high
        dual = torch.linalg.vector_norm(a, ord=self.norm.dual.p, dim=1) + LOST
        ball = a @ self.frames.flatten() - self.radius * dual
        size = a.abs().sum(1) + self.radius * dual
        return torch.maximum(box, ball) - gamma(2 * a.shape[1]) * size - 1e-200


@dataclass(frozen=True)
class ReachedByFlow(Reached):
    """Clips whose flow was changed."""

    frames: Tensor
    space: FlowSpace
    norm: Norm
    radius: float

    @cached_property
    def _dual(self) -> Dual:
        return Dual(self.space, self.norm)

    def _reach(self, radius: float) -> list[float]:
        """Of every frame the farthest that a component of a displacement is from zero, pixels.

        n changes of the flow that have a common norm of at most r add up to at most `n^(1 - 1/p) r`.
        """
        before = [sum(flow <= number for flow in self.space.flows) for number in range(len(self.frames))]
        power = {Norm.L1: 0.0, Norm.L2: 0.5, Norm.LINF: 1.0}[self.norm]
        step = radius * self.space.stride(self.norm) * _OUTWARD
        return [(n**power if n else 0.0) * step for n in before]

    @property
    def _budgets(self) -> list[float]:
        """What one pixel may spend of the radius, in steps; the last one is all of it."""
        return [*(share * self.radius for share in (_SHARES if self._dual.shared else ())), self.radius]

    @cached_property
    def _zones(self) -> list[list[list[Tensor]]]:
        """For each budget and frame the slopes: see `_slopes`."""
        return [
            [_slopes(frame, reach) for frame, reach in zip(self.frames, self._reach(budget), strict=True)]
            for budget in self._budgets
        ]

    def box(self) -> tuple[Tensor, Tensor]:
        """The least and the greatest pixel within reach, or the steepest slopes times the reach: the better of both."""
        lows, highs = [], []
        for frame, reach, slopes in zip(self.frames, self._reach(self.radius), self._zones[-1], strict=True):
            if not reach:
                lows.append(frame)
                highs.append(frame)
                continue
            n = math.ceil(min(reach, max(frame.shape[1:])))
            steep = sum(torch.stack([part.abs() for part in slopes[i : i + 4]]).amax(0) for i in (0, 4))
            change = reach * steep * (1 + 1e-9) + 1e-14
            highs.append(torch.minimum(frame + change, _greatest(frame, n, n)))
            lows.append(torch.maximum(frame - change, -_greatest(-frame, n, n)))
        return torch.stack(lows)[None], torch.stack(highs)[None]

    def least(self, functionals: Tensor) -> Tensor:
        """The value of the clip itself, less the most that the ball allows."""
        functionals, at = _cropped(functionals[:, 0])
        a, frames = functionals, self.frames[at[0], :, at[1], at[2]]
        centre, size = (part.flatten(1) @ frames.flatten() for part in (a, a.abs()))
        positive, negative = a.clamp(min=0), a.clamp(max=0)
        falls = []
        for zone in self._zones:
            slopes = [torch.stack(part)[at[0], :, at[1], at[2]] for part in zip(*zone, strict=True)]
            rates = [_rates(positive, negative, slopes[i : i + 4]) for i in (0, 4)]
            signed, spread = (torch.stack([rate[i] for rate in rates], 2) for i in (0, 1))
            falls.append((_of_flows(signed, at[0].start), _of_flows(spread, at[0].start)))
        fall = self._dual.most(falls, self._budgets, at)
        # Sums over pixels may cancel, but not their rounding. Slopes are at most 1.
        farthest = max(self._reach(self.radius))
        rounding = gamma(8 * a[0].numel()) * (size + fall + 16 * farthest * a.abs().flatten(1).sum(1))
        return centre - fall - rounding - 1e-200


def _cropped(functionals: Tensor) -> tuple[Tensor, tuple[slice, slice, slice]]:
    """(N, l, 3, h, w) without the frames, rows and columns where all are zero, and which are left."""
    there = (functionals != 0).any(2).any(0)
    spans = []
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        hit = there.any(others[1]).any(others[0]).nonzero()[:, 0]
        spans.append(slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 1))
    return functionals[:, spans[0], :, spans[1], spans[2]], (spans[0], spans[1], spans[2])


def _rates(positive: Tensor, negative: Tensor, slopes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """g, k (N, t, h, w): along one axis functionals fall by at most `g D + k |D|`.

    `slopes` (t, 3, h, w) each: least and greatest for D > 0, then for D < 0. The channels come first: what they do together
    while D grows is at most `ahead D`, and while it shrinks at most `back |D|`.
    """
    low, high, low_back, high_back = slopes
    ahead = (positive * high + negative * low).sum(2)
    back = -(positive * low_back + negative * high_back).sum(2)
    return (ahead - back) / 2, ((ahead + back) / 2).clamp(min=0)


def _of_flows(rates: Tensor, first: int) -> Tensor:
    """(N, l - 1 or less, 2, h, w) from rates of displacements (N, t, 2, h, w) of the frames from `first`, counted from 0.

    A change of flow s, counted from 0, moves the frames from s + 1 on. Flows after the last frame are left out.
    """
    since = rates.flip(1).cumsum(1).flip(1)
    flows = [since[:, max(0, flow + 1 - first)] for flow in range(first + rates.shape[1] - 1)]
    return torch.stack(flows, 1) if flows else since[:, :0]


def _slopes(frame: Tensor, reach: float) -> list[Tensor]:
    """Eight (3, h, w): along x the least and greatest slope for D > 0, and for D < 0; then the same along y.

    Along x the path stays on the pixel's row; along y on a column that may lie anywhere within reach.
    """
    if not reach:
        return [torch.zeros_like(frame)] * 8
    across = _sided(frame, reach, 0.0)
    down = [slope.mT for slope in _sided(frame.mT, reach, reach)]
    return [slope + _SLOPES * (1 if i % 2 else -1) for i, slope in enumerate([*across, *down])]


def _sided(frame: Tensor, reach: float, beside: float) -> list[Tensor]:
    """Along the last axis, on the rows within `beside` of the pixel's.

    On one row the slope from x to x - D changes monotonically with D between whole pixels; for one D it is straight between whole
    rows.
    """
    if reach > _FAR:
        return _all_slopes(frame, reach, beside)
    whole = range(-math.floor(beside), math.floor(beside) + 1)
    rows = [_at(frame.mT, offset).mT for offset in {*map(float, whole), -beside, beside}]
    steps = {*map(float, range(1, math.floor(reach) + 1)), max(reach, 1.0)}
    found = []
    for side in (1.0, -1.0):
        slopes = torch.stack([(row - _at(row, -side * n)) / (side * n) for row, n in itertools.product(rows, steps)])
        found += [slopes.amin(0), slopes.amax(0)]
    return found


def _at(frame: Tensor, offset: float) -> Tensor:
    """The values `offset` farther along the last axis, interpolated; the edge goes on."""
    size = frame.shape[-1]
    first, share = math.floor(offset), offset - math.floor(offset)
    index = torch.arange(size, device=frame.device)
    near, far = (frame[..., (index + first + i).clamp(0, size - 1)] for i in (0, 1))
    return near if share == 0 else (1 - share) * near + share * far


def _all_slopes(frame: Tensor, reach: float, beside: float) -> list[Tensor]:
    """The extremes of all steps between neighbours on the way, those of the edge that goes on among them."""
    n, m = (math.ceil(min(far, size)) for far, size in ((reach, frame.shape[-1]), (beside, frame.shape[-2])))
    step = pad(frame.diff(dim=-1), (1, 1))  # before and behind each pixel
    most, least = (sign * _greatest(sign * step, m, n)[..., :-1] for sign in (1.0, -1.0))
    behind, before = (sign * _greatest(sign * step, m, n)[..., 1:] for sign in (1.0, -1.0))
    most, least = torch.maximum(most, behind), torch.minimum(least, before)
    return [least, most, least, most]


def _greatest(frame: Tensor, rows: int, columns: int) -> Tensor:
    """The greatest value at most so many rows and columns away."""
    high = max_pool2d(pad(frame, (0, 0, rows, rows), value=-torch.inf), (2 * rows + 1, 1), stride=1)
    return max_pool2d(pad(high, (columns, columns), value=-torch.inf), (1, 2 * columns + 1), stride=1)
