"""The ball of manipulated flows around a clip, seen through the imposition (engine contract, section 7; docs/bounds.md).

Every pixel of the perturbed clip is `F_t(x - D_t(x))`. Going from x first along the row, then along the column, changes
the bilinear interpolant by `-d_x D_x - d_y D_y`, where `d_x` is a secant slope on the row of x and `d_y` one on a column
within reach. Towards each side those slopes have exact minima and maxima at the knots of the interpolant. For a
functional, the slopes of the channels are combined first, then the two sides are: the kink at zero displacement costs
only where it bends the wrong way. The remaining problem, a linear form in D and |D|, is answered by the space's dual
norm, which couples all pixels and frames.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.bounds.budget import shared_fall, shared_slope
from verification.engine.bounds.derivative import flow_gradient
from verification.engine.bounds.joint import Excess, Slopes, joint_fall, joint_maximum
from verification.engine.bounds.lattice import knots, shifted
from verification.engine.bounds.places import Place
from verification.engine.bounds.region import Region
from verification.engine.perturbation import FlowSpace, Norm, Window
from verification.engine.relaxation import Cone, Form, Interval, Rounding

_NEAR = 0.25  # pixels; within it slopes hardly depend on the reach
_FAR = 6.0  # pixels; further reach uses the coarser but cheaper extremes of all slopes within it


@dataclass(frozen=True)
class _Zone:
    """What holds while no pixel takes more than `budget` of the radius: the slopes within its reach."""

    budget: float
    slopes: Tensor

    @cached_property
    def bends(self) -> list[bool]:
        """Whether the slopes along x and along y vary within reach, so that the terms in |A| matter."""
        return [bool(self.slopes[[first + 1, first + 3]].any()) for first in (0, 4)]


@dataclass(frozen=True)
class FlowBall(Region):
    """All clips `impose(frames, delta)` with `delta` in `space` and `||delta||_p <= radius`.

    `frames`: (l, 3, h, w) in [0, 1].
    """

    frames: Tensor
    space: FlowSpace
    norm: Norm
    radius: float
    rounding: Rounding

    @cached_property
    def _reach(self) -> list[float]:
        """Per frame the largest displacement per component over the whole ball."""
        return self._reach_within(self.radius)

    def _reach_within(self, radius: float) -> list[float]:
        """Per frame the largest displacement per component within `radius`, rounded outward, never beyond the frame."""
        bound = self.space.reach(radius, self.norm)
        limit = float(max(self.frames.shape[2:]))
        return [min(float(r) * (1 + 1e-12), limit) for r in bound]

    @cached_property
    def _frames(self) -> Tensor:
        """(1, 1, l, 3, h, w) in the region's precision."""
        return self.frames.to(self.rounding.dtype).view(1, 1, *self.frames.shape)

    @cached_property
    def _zones(self) -> tuple[_Zone, ...]:
        """From the smallest budget of a pixel to the whole radius."""
        return tuple(_Zone(budget, self._slopes(budget)) for budget in self._budgets)

    @property
    def _budgets(self) -> list[float]:
        # Where nothing moves far all zones have nearly the same slopes.
        shares = self.space.zones(self.norm) if max(self._reach) > _NEAR else ()
        return [*(share * self.radius for share in shares), self.radius]

    @cached_property
    def _whole(self) -> list[list[Tensor]]:
        """Of every frame the slopes within the reach of the whole radius."""
        return self._sided(self._reach)

    def _sided(self, reaches: list[float]) -> list[list[Tensor]]:
        return [_sided_slopes(frame, reach) for frame, reach in zip(self._frames[0, 0], reaches, strict=True)]

    def _slopes(self, budget: float) -> Tensor:
        """(8, 1, l, 3, h, w): what a functional's g and k are made of, four for x and four for y (see `_rates`).

        With slopes in m+ -+ h+ for D > 0 and in m- -+ h- for D < 0: (m+ + m-)/2, (h+ - h-)/2, (m+ - m-)/2, (h+ + h-)/2.
        They hold for all displacements of which a pixel is capable with `budget`.
        """
        parts = []
        for sided in self._whole if budget == self.radius else self._sided(self._reach_within(budget)):
            extremes = torch.stack(sided).unflatten(0, (2, 2, 2))  # axis, side, end
            middle, half = (extremes[:, :, 0] + extremes[:, :, 1]) / 2, (extremes[:, :, 1] - extremes[:, :, 0]) / 2
            ahead, back = (torch.stack([middle[:, side], half[:, side]], 1) for side in range(2))
            mean, bend = ahead + back, ahead - back
            parts.append(torch.stack([mean[:, 0], bend[:, 1], bend[:, 0], mean[:, 1]], 1).flatten(0, 1) / 2)
        return torch.stack(parts, 1).unsqueeze(1)

    def interval(self) -> Interval:
        """The least and greatest lattice value within reach bounds a bilinear interpolant; so do the slopes, near the pixel."""
        lower, upper = [], []
        for frame, reach, sided, still in zip(self._frames[0, 0], self._reach, self._whole, self._still, strict=True):
            n = math.ceil(reach)
            fall, rise = _change(sided, reach)
            margin = self.rounding.gamma(4) * (1 + fall + rise)
            most = torch.minimum(_windowed_maximum(frame, n), frame + rise + margin)
            least = torch.maximum(-_windowed_maximum(-frame, n), frame - fall - margin)
            upper.append(torch.where(still, frame, most))
            lower.append(torch.where(still, frame, least))
        return Interval(torch.stack(lower).unsqueeze(0), torch.stack(upper).unsqueeze(0))

    @cached_property
    def _still(self) -> Tensor:
        """(l, h or 1, w or 1): the pixels of each frame that no flow moves."""
        return (self.space.before == 0).to(self.frames.device)

    def cone(self) -> Cone | None:
        """The pixels' values change at most at the rate of their steepest slopes; beyond the frame that says nothing."""
        reaches = self.space.reach(self.radius, self.norm).tolist()
        if not self.space.shares(self.norm) or not 0 < max(reaches) <= max(self.frames.shape[2:]):
            return None
        frames = self._frames[:, 0]
        changes = [_change(sided, reach * (1 + 1e-12)) for reach, sided in zip(reaches, self._whole, strict=True)]
        moves = ~self._still[None, :, None]
        fall, rise = (torch.stack(part).unsqueeze(0) * moves for part in zip(*changes, strict=True))
        margin = self.rounding.gamma(4) * (1 + fall + rise)
        return Cone(Interval(frames, frames), Interval(frames - fall - margin, frames + rise + margin))

    def minimum(self, form: Form) -> Tensor:
        return self.minima(form)[..., 1]

    def stretch(self, overlap: int) -> float:
        return 1.0 if self.norm is Norm.L1 else overlap**0.5

    def minima(
        self, form: Form, excesses: Sequence[Excess] = (), budgets: Sequence[float] = (), place: Place | None = None
    ) -> Tensor:
        form = form.full(0)  # streams joined along the batch axis leave windows that begin before the only clip
        frames = form.values(self._frames)[:, 0]
        centre = form.contract(frames)
        if excesses or place is not None:
            fall, wide = self._greatest_with(form, excesses, budgets, place)
        else:
            fall = wide = self._greatest(form, self.radius, shared_fall)
        if self.rounding.rigorous:
            size = form.like(form.coefficients.abs())
            # Slopes are at most 1 and D at most the reach, so the rounding of g and k weighs at most the last term. Sums over
            # pixels may cancel, but not their rounding: so the reach beyond the frame counts here.
            farthest = float(self.space.reach(self.radius, self.norm).max())
            weight = size.contract(frames) + 2 * wide + 16 * size.coefficients.flatten(2).sum(2) * farthest
            centre = centre - self.rounding.gamma(4 * form.coefficients[0, 0].numel()) * weight
        return torch.stack([centre, centre - fall, centre - wide], -1)

    def steepness(self, gradient: Interval) -> Tensor:
        """The greatest rate over the ball: where a pixel has little of the radius, its derivatives are those nearby."""
        frames, rounding = self._frames[0, 0], self.rounding
        window = self.space.everywhere(gradient.lower.shape[0])
        slopes = []
        for budget in self._budgets:
            rates = flow_gradient(frames, self._reach_within(budget), gradient, rounding)
            signed, spread = rates.centre, rates.radius
            # Sums over pixels may cancel in `signed`, so their rounding is counted as spread.
            spread = spread + rounding.gamma(signed[0].numel()) * (signed.abs() + spread)
            if len(self._budgets) == 1:
                return self._widened(self.space.support(signed, spread, window, self.norm), signed)
            slopes.append(self._widened(self.space.pixel_slopes(signed, spread, window, self.norm), signed))
        return self._widened(shared_slope(torch.stack(slopes), self._budgets, rounding), signed)

    def _widened(self, rate: Tensor, terms: Tensor) -> Tensor:
        """`rate` with the rounding of a norm of `terms`."""
        return rate * (1 + self.rounding.gamma(terms[0].numel())) + self.rounding.squares

    def _greatest(self, form: Form, radius: float, shared: Callable[[Tensor, list[float]], Tensor]) -> Tensor:
        """(P, K): the most that `_rates` of the functionals allow over `||delta||_p <= radius`.

        `shared` joins the slopes of pixels that have budgets of their own.
        """
        if len(self._zones) == 1:
            most = self.space.support(*self._rates(form, self._zones[0]), _window(form), self.norm) * radius
        else:
            most = shared(self._pixel_slopes(form).rates.flatten(1, 2).flatten(2), self._budgets)
        return (most + self.rounding.squares * radius).view(form.positions, form.coefficients.shape[1])

    def _pixel_slopes(self, form: Form) -> Slopes:
        """By how much the functionals fall because of each pixel, where the pixels share the radius."""
        window, shape = _window(form), (form.positions, form.coefficients.shape[1], *form.window[3:5])
        rates = [self.space.pixel_slopes(*self._rates(form, zone), window, self.norm) for zone in self._zones]
        return Slopes.of(torch.stack(rates).view(len(rates), *shape), self._budgets)

    def _greatest_with(
        self, form: Form, excesses: Sequence[Excess], budgets: Sequence[float], place: Place | None
    ) -> tuple[Tensor, Tensor]:
        """(P, K) each: the most that `_rates` and excesses allow together, and the same for `place`; never less."""
        slopes = self._pixel_slopes(form)
        if self.norm is Norm.L1:
            most = wide = joint_maximum(slopes, excesses, form, budgets)
        else:
            most = wide = joint_fall(slopes, excesses, form, budgets, self.rounding)
            if place is not None:
                wide = joint_fall(slopes, excesses, form, budgets, self.rounding, place)
                # Neither is always less: the whole ball has no room for what lies beyond the radius.
                wide = torch.minimum(torch.maximum(wide, most), most * self.stretch(place.places.overlap))
        margin = 1 + self.rounding.gamma(2 * slopes.pixels)
        least = self.rounding.squares * self.radius * self.stretch(place.places.overlap if place else 1)
        return most * margin + least, wide * margin + least

    def _rates(self, form: Form, zone: _Zone) -> tuple[Tensor, Tensor]:
        """The coefficients g, k (P K, t, 2, h, w) with which the functionals fall by at most `sum g . delta + k . |delta|`.

        While D grows from zero a functional A falls at most at the rate `h+ = sum_c max A_c slope_c` over the slopes of
        that side, while it shrinks at most at `h- = sum_c max -A_c slope_c`. So it falls by at most `g D + k |D|` with
        `g = (h+ - h-) / 2` and `k = max(0, (h+ + h-) / 2)`: a kink that bends upward costs nothing. D are the sums of the
        flows before each frame: entry j belongs to the flow that moves the window's frames from the j-th on (see `Window`).
        """
        seen = form.values(zone.slopes)[:, :, None, 0]  # (P, 8, 1, t, 3, h, w)
        a = form.coefficients[:, :, 0]
        size = a.abs() if any(zone.bends) else a
        shape = (form.positions, a.shape[1], a.shape[2], 2, *a.shape[4:])
        g, k = a.new_empty(shape), a.new_empty(shape)
        for axis in range(2):
            for target, first in ((g, 4 * axis), (k, 4 * axis + 2)):
                rate = _over_channels(a, seen[:, first])
                if zone.bends[axis]:
                    rate = rate + _over_channels(size, seen[:, first + 1])
                target[:, :, :, axis] = rate
        return _from_each_frame_on(g).flatten(0, 1), _from_each_frame_on(k.clamp_(min=0)).flatten(0, 1)


def _window(form: Form) -> Window:
    """Where each of the P K functionals looks: at the flows that move the window's frames, and at its pixels."""
    count = form.coefficients.shape[1]
    first, rows, columns = (form.offsets[:, axis].repeat_interleave(count) for axis in (1, 3, 4))
    return Window(
        first,
        form.window[1],
        rows[:, None] + torch.arange(form.window[3]),
        columns[:, None] + torch.arange(form.window[4]),
    )


def _from_each_frame_on(rates: Tensor) -> Tensor:
    """Rates (P, K, t, ...) of displacements as rates of the flows: what moves a frame moves all later ones along."""
    for j in range(rates.shape[2] - 2, -1, -1):
        rates[:, :, j] += rates[:, :, j + 1]
    return rates


def _over_channels(a: Tensor, slopes: Tensor) -> Tensor:
    """`sum_c a_c slopes_c`: (P or 1, K, t, c, h, w) and (P or 1, 1, t, c, h, w) to (P, K, t, h, w)."""
    total = a[:, :, :, 0] * slopes[:, :, :, 0]
    for channel in range(1, a.shape[3]):
        total.addcmul_(a[:, :, :, channel], slopes[:, :, :, channel])
    return total


def _windowed_maximum(x: Tensor, n: int) -> Tensor:
    """The maximum over the (2 n + 1)^2 neighbourhood of every pixel; edges replicated."""
    for axis in (-2, -1):
        size = x.shape[axis]
        index = torch.arange(size, device=x.device)
        shifted = [x.index_select(axis, (index + d).clamp(0, size - 1)) for d in range(-n, n + 1)]
        x = torch.stack(shifted).amax(0)
    return x


def _sided_slopes(frame: Tensor, reach: float) -> list[Tensor]:
    """Least and greatest slope of `frame` (c, h, w) along x for D > 0 and for D < 0, then the same along y.

    The change from x to x - D is `-slope * D`. Along x the row is that of the pixel; along y the column may lie
    anywhere within reach, because the path moved along x before. Widened by 1e-14 in float64 for the rounding of differences.
    """
    if reach == 0.0:
        return [torch.zeros_like(frame)] * 8
    x = _side_extremes(frame, reach, axis=-1, across=0.0)
    y = _side_extremes(frame, reach, axis=-2, across=reach)
    margin = 1e-14 if frame.dtype == torch.float64 else 0.0
    return [slope + margin * (-1 if i % 2 == 0 else 1) for i, slope in enumerate([*x, *y])]


def _change(slopes: list[Tensor], reach: float) -> tuple[Tensor, Tensor]:
    """By how much every pixel can fall and rise: along each axis at most the reach times the steepest of its `_sided_slopes`."""
    fall, rise = torch.zeros_like(slopes[0]), torch.zeros_like(slopes[0])
    for least_ahead, greatest_ahead, least_back, greatest_back in (slopes[:4], slopes[4:]):
        fall = fall + torch.maximum(greatest_ahead, -least_back).clamp(min=0)
        rise = rise + torch.maximum(-least_ahead, greatest_back).clamp(min=0)
    return fall * reach, rise * reach


def _side_extremes(frame: Tensor, reach: float, axis: int, across: float) -> list[Tensor]:
    """[least D > 0, greatest D > 0, least D < 0, greatest D < 0] of the secant slopes along `axis`.

    For a fixed line the secant slope is monotone between lattice points, and for a fixed step it is piecewise linear in
    the position across: so the extremes lie at whole steps, whole positions, and the ends of both ranges.
    """
    # A reach as long as the frame stands for every longer one, too: slopes between farther points are nearer to zero.
    if reach > _FAR or reach >= max(frame.shape[1:]):
        return _coarse_extremes(frame, reach, axis, across)
    lines = [shifted(frame, -3 - axis, offset) for offset in knots(across)]
    steps = [float(n) for n in range(1, math.floor(reach) + 1)] or [1.0]
    if reach > 1 and reach != math.floor(reach):
        steps.append(reach)
    result = []
    for side in (1.0, -1.0):
        slopes = [
            (line - shifted(line, axis, -side * step)) / (side * step) for line, step in itertools.product(lines, steps)
        ]
        stacked = torch.stack(slopes)
        result += [stacked.amin(0), stacked.amax(0)]
    return result


def _coarse_extremes(frame: Tensor, reach: float, axis: int, across: float) -> list[Tensor]:
    """Extremes of all slopes within reach: they bound every secant slope."""
    n, m = math.ceil(reach), math.ceil(across)
    size = frame.shape[axis]
    index = torch.arange(size, device=frame.device)
    step = frame - frame.index_select(axis, (index - 1).clamp(0, size - 1))
    pad = (n, n, m, m) if axis == -1 else (m, m, n, n)
    greatest, least = (_pooled(sign * step, pad, n, m, axis) * sign for sign in (1.0, -1.0))
    return [least, greatest, least, greatest]


def _pooled(step: Tensor, pad: tuple[int, int, int, int], n: int, m: int, axis: int) -> Tensor:
    """Maximum of the slopes between pixels that lie within n along `axis` and m across; none lie beyond the edge."""
    padded = functional.pad(step, pad, value=0.0)
    kernel = (2 * m + 1, 2 * n) if axis == -1 else (2 * n, 2 * m + 1)
    pooled = functional.max_pool2d(padded, kernel, stride=1)
    # Window i covers the slopes i - n + 1 .. i + n, those of the cells between x - n and x + n.
    return pooled.narrow(axis, 1, step.shape[axis])
