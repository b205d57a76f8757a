"""Max-pooling over two or three axes."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.lowering import Lowering, Value, lowers, spread
from verification.engine.network.operations.base import Inquiry, Operation, Pulled, Site, between
from verification.engine.relaxation import Cone, Enclosure, Form, Interval, Rounding
from verification.engine.relaxation.transpose import pull_selection

_AT_ONCE = 1 << 22  # elements of the input whose planes are made at a time
_POOL = {2: functional.max_pool2d, 3: functional.max_pool3d}


@dataclass(frozen=True)
class MaxPool(Operation):
    """The largest element of every window; padding never wins.

    Lower plane: the favourite, which is largest in the middle of the intervals. Upper plane: the favourite and the chords
    of what others may exceed it by (`_prepare`).
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil: bool = False
    relaxes = True

    @property
    def rank(self) -> int:
        return len(self.kernel)

    def concrete(self, *inputs: Tensor) -> Tensor:
        return _POOL[self.rank](inputs[0], self.kernel, self.stride, self.padding, self.dilation, self.ceil)

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        return Interval(self.concrete(boxes[0].lower), self.concrete(boxes[0].upper))

    def windows(self, x: Tensor) -> Tensor:
        """(n, c, *output, kernel elements): the elements of each window, minus infinity for padding."""
        reach = [(size - 1) * gap + 1 for size, gap in zip(self.kernel, self.dilation, strict=True)]
        pad: list[int] = []
        for axis, count in enumerate(self.output_shape(tuple(x.shape))[2:]):
            # With `ceil` the last window may reach over the padding at the end.
            end = (count - 1) * self.stride[axis] + reach[axis] - x.shape[axis + 2] - self.padding[axis]
            pad = [self.padding[axis], max(end, 0), *pad]
        x = functional.pad(x, pad, value=float("-inf"))
        for axis in range(self.rank):
            x = x.unfold(axis + 2, reach[axis], self.stride[axis])[..., :: self.dilation[axis]]
        return x.flatten(2 + self.rank)

    def undecided(self, box: Interval) -> Tensor:
        """None: bounds on differences (`inquire`) say more about the winner than bounds on the elements."""
        return torch.zeros_like(box.lower, dtype=torch.bool)

    def inquire(self, site: Site, idle: Tensor) -> Inquiry:
        """Bound by how much each element that could win may exceed the favourite: first from above, then from both sides.

        Keeps `differences`: the favourites, (n, c, *output, 1), and upper and lower bounds of `x_i - x_favourite`,
        (n, c, *output, k); where the upper one is not positive the element never wins. What is left, with the favourite, are
        the `rivals`. Where the planes touch, differences are `Cones` and only that of the `leader` is bounded from below.
        """
        if site.touches:
            yield from self._inquire_near(site, idle)
            return
        if bool(idle.all()):
            return  # there is nothing to keep that the intervals do not say
        favourite, most, least = site.memory.get("differences") or self._boxed(site.boxes[0], site.rounding)
        for bound, sign in ((most, -1.0), (least, 1.0)):
            yield from self._ask((most > 0) & ~idle.unsqueeze(-1), favourite, site, sign, {1: bound})
        site.memory["differences"] = favourite, most, least
        site.memory["rivals"] = (most > 0).scatter(-1, favourite, True)

    def _inquire_near(self, site: Site, idle: Tensor) -> Inquiry:
        """The same for cones: at the clip itself, over the region, and wide, in this order."""
        assert site.cones is not None
        cone = site.cones[0]
        windows = [
            (self.windows(end.lower), self.windows(end.upper))
            for end in (cone.apex, cone.base, cone.stretched(site.stretch))
        ]
        favourite = _favourite(*windows[0])
        pairs = [_differences_of_boxes(*end, favourite, site.rounding) for end in windows]
        most, least = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        yield from self._ask((most[1] > 0) & ~idle.unsqueeze(-1), favourite, site, -1.0, dict(enumerate(most)))
        wins = most[1] > 0
        near = torch.where(wins, between(most[0], most[1], site.aim, site.rounding), -torch.inf)
        leader = near.argmax(-1, keepdim=True)
        leads = torch.zeros_like(wins).scatter(-1, leader, True) & (near > 0)
        yield from self._ask(leads & ~idle.unsqueeze(-1), favourite, site, 1.0, dict(enumerate(least)))
        site.memory["near"] = _Near(favourite, leader, wins, tuple(most), tuple(least))
        site.memory["rivals"] = wins.scatter(-1, favourite, True)

    def _ask(self, chosen: Tensor, favourite: Tensor, site: Site, sign: float, bounds: Mapping[int, Tensor]) -> Inquiry:
        """Improve `bounds` of the differences that are `chosen`, in place; they are numbered as in an answer to an inquiry.

        From above with `sign` -1, else from below. All follow the first entry that is a bound over the region.
        """
        # Ordered by window, because functionals of one window share what they are pulled through.
        rivals = chosen.movedim(1, -2).nonzero().cpu()
        rivals = torch.cat([rivals[:, :1], rivals[:, -2:-1], rivals[:, 1:-2], rivals[:, -1:]], 1)
        if not len(rivals):
            return
        answer = yield self._differences(rivals, favourite, site, sign), rivals[:, :-1]
        at = tuple(rivals.to(chosen.device).T)
        learnt, known = sign * answer[:, 0], bounds[1][at]
        # An answer that is no number says nothing, and must not replace what is known.
        better = learnt[:, 1] < known if sign < 0 else learnt[:, 1] > known
        for number, bound in bounds.items():
            bound[at] = torch.where(better, learnt[:, number], bound[at])

    def enclose(self, inputs: Sequence[Enclosure], site: Site) -> Enclosure:
        """The favourite, and half of the most by which another may exceed it. Keeps `differences` as `inquire` does."""
        (x,) = inputs
        favourite, most, least = self._boxed(site.boxes[0], site.rounding)
        parts = [self.windows(part) for part in (x.centre, x.error, *x.slopes)]
        padding = parts[0] == -torch.inf
        parts = [part.masked_fill(padding, 0.0) for part in parts]
        centre, error, *slopes = (part.gather(-1, favourite) for part in parts)
        middle, reach = parts[0] - centre, parts[1] + error
        size = parts[0].abs() + centre.abs() + reach
        for part, slope in zip(parts[2:], slopes, strict=True):
            reach, size = reach + (part - slope).abs(), size + part.abs() + slope.abs()
        reach = reach + site.rounding.gamma(len(parts)) * size
        itself = torch.zeros_like(padding).scatter(-1, favourite, True)
        known = padding | itself
        most = torch.where(known, most, torch.minimum(most, middle + reach))
        least = torch.where(known, least, torch.maximum(least, middle - reach))
        site.memory["differences"] = favourite, most, least
        site.memory["rivals"] = (most > 0).scatter(-1, favourite, True)
        height = most.clamp(min=0).amax(-1) / 2
        margin = site.rounding.gamma(2) * (centre[..., 0].abs() + height)
        tilts = torch.stack(slopes)[..., 0] if slopes else x.slopes.new_zeros((0, *height.shape))
        return Enclosure(centre[..., 0] + height, tilts, error[..., 0] + height + margin)

    def cone(self, site: Site) -> Cone | None:
        """A maximum of upper ends is convex, as it must be. Below lies the element that is largest at the clip itself."""
        if site.cones is None:
            return None
        apex, base = site.cones[0].apex, site.cones[0].base
        lower, upper = self.windows(apex.lower), self.windows(apex.upper)
        favourite = _favourite(lower, upper)
        ends = [lower.gather(-1, favourite)[..., 0], self.windows(base.lower).gather(-1, favourite)[..., 0]]
        return Cone(Interval(ends[0], upper.amax(-1)), Interval(ends[1], self.windows(base.upper).amax(-1)))

    def footprint(self, site: Site) -> Form | None:
        shape = self.output_shape(site.shapes[0])
        places = Form.sums(shape, 1, site.rounding.dtype, site.boxes[0].lower.device)
        window = [(size - 1) * gap + 1 for size, gap in zip(self.kernel, self.dilation, strict=True)]
        offsets = places.offsets.clone()
        offsets[:, 2:] = offsets[:, 2:] * torch.tensor(self.stride) - torch.tensor(self.padding)
        ones = places.coefficients.new_ones((1, 1, 1, shape[1], *window))
        return Form(ones, offsets, site.shapes[0]).clipped()

    def excess(self, site: Site, shares: Sequence[float]) -> Tensor:
        near: _Near = site.memory["near"]
        tilt = near.tilt(site)
        start = near.height(site, tilt, 0.0)
        heights = [near.height(site, tilt, share) for share in shares] + [near.height(site, tilt, 1.0, wide=False)]
        return (torch.stack(heights) - start).clamp(min=0)

    def _touching(self, site: Site) -> Tensor:
        """As `_prepared`: below the favourite, above it a part of the leader's difference too."""
        near: _Near = site.memory["near"]
        size = _size(self.windows(site.boxes[0].lower), self.windows(site.boxes[0].upper))
        tilt = near.tilt(site)
        constant = near.height(site, tilt, 0.0)
        below, leading = (
            functional.one_hot(i[..., 0], size.shape[-1]).to(size.dtype) for i in (near.favourite, near.leader)
        )
        slope = leading * tilt.unsqueeze(-1)
        above = below * (1 - tilt).unsqueeze(-1) + slope
        weight = ((below + above + slope) * size).sum(-1) + constant + size.gather(-1, near.favourite)[..., 0]
        return torch.stack([*below.unbind(-1), *above.unbind(-1), constant, weight])

    def _differences(self, rivals: Tensor, favourite: Tensor, site: Site, sign: float) -> Form:
        """`sign (x_i - x_favourite)` for each row (n, c, *output, i) of `rivals`, on pooling windows of one channel."""
        other = favourite[tuple(rivals[:, :-1].to(favourite.device).T)][:, 0].cpu()
        places = [torch.stack(torch.unravel_index(i, self.kernel), 1) for i in (rivals[:, -1], other)]
        places = [place * torch.tensor(self.dilation) for place in places]
        window = [(size - 1) * gap + 1 for size, gap in zip(self.kernel, self.dilation, strict=True)]
        coefficients = torch.zeros((len(rivals), 1, 1, 1, *window), dtype=site.rounding.dtype)
        rows = torch.arange(len(rivals))
        for place, value in zip(places, (sign, -sign), strict=True):
            coefficients[(rows, 0, 0, 0, *place.T)] = value
        first = rivals[:, 2:-1] * torch.tensor(self.stride) - torch.tensor(self.padding)
        offsets = torch.cat([rivals[:, :2], first], 1)
        return Form(coefficients.to(favourite.device), offsets, site.shapes[0])

    def planes(self, site: Site) -> Tensor:
        """What `_prepared` gives, once for each region; `inquire` has been answered."""
        planes = site.kept("planes", lambda: self._touching(site) if site.touches else self._prepare(site))
        if "planes" in site.memory:
            site.memory.pop("near" if site.touches else "differences", None)  # all that was needed of it
        return planes

    def _boxed(self, box: Interval, rounding: Rounding) -> tuple[Tensor, Tensor, Tensor]:
        """The favourites and bounds of differences to them, as far as intervals know: see `inquire`."""
        lower, upper = self.windows(box.lower), self.windows(box.upper)
        favourite = _favourite(lower, upper)
        return favourite, *_differences_of_boxes(lower, upper, favourite, rounding)

    def _prepare(self, site: Site) -> Tensor:
        """`_prepared`, for a part of the batch at a time: there are some ten tensors of the input's size on the way."""
        known, parts, start = site.memory.get("differences"), [], 0
        count = max(1, _AT_ONCE // max(1, site.boxes[0].lower[0].numel()))
        for lower, upper in zip(*(end.split(count) for end in (site.boxes[0].lower, site.boxes[0].upper)), strict=True):
            box, stop = Interval(lower, upper), start + len(lower)
            differences = self._boxed(box, site.rounding) if known is None else [part[start:stop] for part in known]
            parts.append(self._prepared(box, site.rounding, *differences))
            start = stop
        return torch.cat(parts, 1)

    def _prepared(self, box: Interval, rounding: Rounding, favourite: Tensor, most: Tensor, least: Tensor) -> Tensor:
        """(2 k + 2, n, c, *output): lower coefficients, upper coefficients, upper constant, magnitude.

        With the favourite j and differences `l <= x_i - x_j <= u`: the largest element is `x_j + max(0, x_i - x_j, ...)`,
        and `max(0, d)` lies below its chord `u (d - l) / (u - l)`. Above stand the best, in the middle of the intervals,
        of no chord and the largest u; one chord and the second largest u; the sum of all chords.
        """
        size = _size(self.windows(box.lower), self.windows(box.upper))
        wins = most > 0
        most, least = most.clamp(min=0), torch.where(wins, least.clamp(max=0), 0.0)
        below = functional.one_hot(favourite[..., 0], most.shape[-1]).to(most.dtype)
        width = most - least
        slope = torch.where(wins, most / torch.where(wins, width, 1.0), 0.0)
        height = rounding.gamma(2) * width - slope * least
        first, leader = most.max(-1, keepdim=True)
        second = most.scatter(-1, leader, 0.0).amax(-1, keepdim=True)
        leading = torch.zeros_like(most).scatter(-1, leader, 1.0)
        costs = torch.cat([first, first / 2 + second, most.sum(-1, keepdim=True) / 2], -1)
        choice = costs.argmin(-1, keepdim=True)
        kept = torch.where(choice == 0, 0.0, torch.where(choice == 1, leading, 1.0))
        rest = torch.where(choice == 0, first, torch.where(choice == 1, second, 0.0))
        slope = slope * kept
        above = slope + below * (1 - slope.sum(-1, keepdim=True))
        constant = (height * kept).sum(-1) + rest[..., 0]
        weight = ((below + above.abs() + slope) * size).sum(-1) + constant.abs()
        weight = weight + slope.sum(-1) * size.gather(-1, favourite)[..., 0]
        return torch.stack([*below.unbind(-1), *above.unbind(-1), constant, weight])

    def backward(self, form: Form, site: Site) -> Pulled:
        seen = form.values(self.planes(site))
        positive, negative = form.coefficients.clamp(min=0), form.coefficients.clamp(max=0)
        constant = (negative * seen[:, -2:-1]).flatten(2).sum(2)
        elements = list(itertools.product(*(range(size) for size in self.kernel)))
        spatial = form.window[2:]
        geometry = list(zip(spatial, self.stride, self.kernel, self.dilation, strict=True))
        target = [(n - 1) * step + (size - 1) * gap + 1 for n, step, size, gap in geometry]
        rows = max(seen.shape[0], positive.shape[0])
        pulled = seen.new_zeros((rows, *positive.shape[1:4], *target))
        for number, element in enumerate(elements):
            low, up = seen[:, number, None], seen[:, len(elements) + number, None]
            place = [
                slice(first * gap, first * gap + (n - 1) * step + 1, step)
                for first, (n, step, _, gap) in zip(element, geometry, strict=True)
            ]
            index: tuple[EllipsisType | slice, ...] = (..., *place)
            pulled[index] += positive * low + negative * up
        offsets = form.offsets.clone()
        offsets[:, 2:] = offsets[:, 2:] * torch.tensor(self.stride) - torch.tensor(self.padding)
        if site.rounding.rigorous:
            size = (form.coefficients.abs() * seen[:, -1:]).flatten(2).sum(2)
            terms = form.coefficients[0, 0].numel() + len(elements)
            constant = constant - site.rounding.gamma(terms) * size
        return Pulled((Form(pulled, offsets, site.shapes[0]).clipped(),), constant)

    def possible(self, box: Interval) -> Tensor:
        """(n, c, *output, kernel elements) bool: which elements of each window can be the largest."""
        return self.windows(box.upper) >= self.windows(box.lower).amax(-1, keepdim=True)

    def contenders(self, site: Site) -> Tensor:
        """Of the `possible` elements enough that one of them is always a largest: the favourite and what may exceed it."""
        possible = self.possible(site.boxes[0])
        both = possible & site.memory.get("rivals", possible)
        return torch.where(both.any(-1, keepdim=True), both, possible)  # empty by float32's rounding at most

    def extremes(self, box: Interval, possible: Tensor) -> Interval:
        """The least and the greatest of the elements of each window that are `possible`."""
        lower = self.windows(box.lower).masked_fill(~possible, float("inf")).amin(-1)
        return Interval(lower, self.windows(box.upper).masked_fill(~possible, float("-inf")).amax(-1))

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        """A maximum changes by a mean of the changes of its elements, with weights only for those that can be largest."""
        possible = self.contenders(site)
        lower = site.boxes[0].lower
        alone = possible & (possible.sum(-1, keepdim=True) == 1)
        weights = Interval(alone.to(lower.dtype), possible.to(lower.dtype))
        elements = Interval(gradient.lower.unsqueeze(-1), gradient.upper.unsqueeze(-1)).times(weights, 0.0)
        return pull_selection(self.windows, site.shapes, elements, site.rounding)


@dataclass(frozen=True)
class _Near:
    """What is known of the differences to the favourite near the clip: `most` and `least` (n, c, *output, k) at the clip itself,
    over the region, and wide. `wins`: which can be positive. `leader` (n, c, *output, 1): the one that is likely to be.
    """

    favourite: Tensor
    leader: Tensor
    wins: Tensor
    most: tuple[Tensor, ...]
    least: tuple[Tensor, ...]

    def _leading(self, site: Site, share: float, end: int) -> tuple[Tensor, Tensor]:
        """How far the leader can be above the favourite and below it, from above; (n, c, *output) each."""
        any_wins = self.wins.any(-1)
        parts = []
        for bounds, sign in ((self.most, 1.0), (self.least, -1.0)):
            apex, base = (
                torch.where(any_wins, sign * bounds[i].gather(-1, self.leader)[..., 0], 0.0) for i in (0, end)
            )
            parts.append(between(apex, base, share, site.rounding))
        return parts[0], parts[1].clamp(min=0)

    def tilt(self, site: Site) -> Tensor:
        """(n, c, *output): the slope of the chord of `max(0, d)`, d being the leader's difference, over `site.aim`."""
        above, below = self._leading(site, site.aim, 1)
        above = above.clamp(min=0)
        width = above + below
        return torch.where(width > 0, above / torch.where(width > 0, width, 1.0), 0.0)

    def height(self, site: Site, tilt: Tensor, share: float, wide: bool = True) -> Tensor:
        """The most by which the maximum exceeds the favourite and `tilt` of the leader's difference, at a share of the radius.

        Where the leader is the largest, by `(1 - tilt) d`; where another is, by that one's difference less `tilt d`.
        """
        end = 2 if wide else 1
        above, below = self._leading(site, share, end)
        others = self.wins.scatter(-1, self.leader, False)
        apex, base = (torch.where(others, self.most[i], 0.0) for i in (0, end))
        second = between(apex, base, share, site.rounding).amax(-1).clamp(min=0)
        return torch.maximum((1 - tilt) * above, tilt * below + second).clamp(min=0)


def _size(lower: Tensor, upper: Tensor) -> Tensor:
    """The largest magnitude of every element, zero for padding."""
    return torch.maximum(lower.abs(), upper.abs()).nan_to_num(posinf=0.0)


def _differences_of_boxes(lower: Tensor, upper: Tensor, favourite: Tensor, rounding: Rounding) -> tuple[Tensor, Tensor]:
    """Upper and lower bounds of `x_i - x_favourite` from the elements' own intervals; zero for the favourite itself."""
    size = _size(lower, upper)
    margin = rounding.gamma(1) * (size + size.gather(-1, favourite))
    most = upper - lower.gather(-1, favourite) + margin
    least = lower - upper.gather(-1, favourite) - margin
    return most.scatter(-1, favourite, 0.0), least.scatter(-1, favourite, 0.0)


def _favourite(lower: Tensor, upper: Tensor) -> Tensor:
    """(..., 1): which element of each window is the largest in the middle of the intervals; never padding."""
    return (lower + upper).argmax(-1, keepdim=True)


@lowers("aten.max_pool2d_with_indices.default")
def _max_pool_2d(graph: Lowering, x: Value, *arguments: Any) -> tuple[Value, None]:
    return _max_pool(graph, 2, x, *arguments)


@lowers("aten.max_pool3d_with_indices.default")
def _max_pool_3d(graph: Lowering, x: Value, *arguments: Any) -> tuple[Value, None]:
    return _max_pool(graph, 3, x, *arguments)


def _max_pool(
    graph: Lowering,
    rank: int,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Value, None]:
    if graph.rank(x) != rank + 2:
        graph.refuse("max-pooling without a batch axis")
    size, steps = spread(kernel, rank), spread(stride or kernel, rank)
    return graph.emit(MaxPool(size, steps, spread(padding, rank), spread(dilation, rank), ceil_mode), x), None
