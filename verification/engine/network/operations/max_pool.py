"""Max-pooling over two or three axes."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.lowering import Lowering, Value, lowers, spread
from verification.engine.network.operations.base import Inquiry, Operation, Pulled, Site
from verification.engine.relaxation import Form, Interval, Rounding
from verification.engine.relaxation.transpose import pull_selection

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
        the `rivals`.
        """
        lower, upper = self.windows(site.boxes[0].lower), self.windows(site.boxes[0].upper)
        favourite = _favourite(lower, upper)
        most, least = _differences_of_boxes(lower, upper, favourite, site.rounding)
        for bound, sign in ((most, -1.0), (least, 1.0)):
            # Ordered by window, because functionals of one window share what they are pulled through.
            rivals = ((most > 0) & ~idle.unsqueeze(-1)).movedim(1, -2).nonzero().cpu()
            rivals = torch.cat([rivals[:, :1], rivals[:, -2:-1], rivals[:, 1:-2], rivals[:, -1:]], 1)
            if len(rivals):
                answer = yield self._differences(rivals, favourite, site, sign)
                at = tuple(rivals.to(bound.device).T)
                learnt = sign * answer[:, 0]
                # An answer that is no number says nothing, and must not replace what is known.
                better = learnt < bound[at] if sign < 0 else learnt > bound[at]
                bound[at] = torch.where(better, learnt, bound[at])
        site.memory["differences"] = favourite, most, least
        site.memory["rivals"] = (most > 0).scatter(-1, favourite, True)

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
        """What `_prepare` gives, once for each region; `inquire` has been answered."""
        if "planes" not in site.memory:
            site.memory["planes"] = self._prepare(site)
        return site.memory["planes"]

    def _prepare(self, site: Site) -> Tensor:
        """(2 k + 2, n, c, *output): lower coefficients, upper coefficients, upper constant, magnitude.

        With the favourite j and differences `l <= x_i - x_j <= u`: the largest element is `x_j + max(0, x_i - x_j, ...)`,
        and `max(0, d)` lies below its chord `u (d - l) / (u - l)`. Above stand the best, in the middle of the intervals,
        of no chord and the largest u; one chord and the second largest u; the sum of all chords.
        """
        favourite, most, least = site.memory.pop("differences")
        size = _size(self.windows(site.boxes[0].lower), self.windows(site.boxes[0].upper))
        wins = most > 0
        most, least = most.clamp(min=0), torch.where(wins, least.clamp(max=0), 0.0)
        below = functional.one_hot(favourite[..., 0], most.shape[-1]).to(most.dtype)
        width = most - least
        slope = torch.where(wins, most / torch.where(wins, width, 1.0), 0.0)
        height = site.rounding.gamma(2) * width - slope * least
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
        pulled = positive.new_zeros((rows, *positive.shape[1:4], *target))
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
