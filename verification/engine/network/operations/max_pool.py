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
from verification.engine.network.operations.base import Operation, Pulled, Site
from verification.engine.relaxation import Form, Interval, Rounding
from verification.engine.relaxation.transpose import pull_selection

_POOL = {2: functional.max_pool2d, 3: functional.max_pool3d}


@dataclass(frozen=True)
class MaxPool(Operation):
    """The largest element of every window; padding never wins.

    Lower plane: the element with the largest lower bound. Upper plane: the same element where its lower bound is above
    every other's upper bound, the largest upper bound otherwise.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil: bool = False
    exact_interval = True
    relaxes = True

    @property
    def rank(self) -> int:
        return len(self.kernel)

    def concrete(self, *inputs: Tensor) -> Tensor:
        return _POOL[self.rank](inputs[0], self.kernel, self.stride, self.padding, self.dilation, self.ceil)

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        return Interval(self.concrete(boxes[0].lower), self.concrete(boxes[0].upper))

    def _windows(self, x: Tensor) -> Tensor:
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

    def _prepare(self, box: Interval) -> Tensor:
        """(2 k + 1, n, c, *output): one-hot lower choice, one-hot upper choice (or none), upper constant."""
        lower, upper = self._windows(box.lower), self._windows(box.upper)
        best = functional.one_hot(lower.argmax(-1), lower.shape[-1])
        others = upper.masked_fill(best.bool(), float("-inf")).amax(-1)
        settled = lower.amax(-1) >= others
        above = best * settled.unsqueeze(-1)
        constant = torch.where(settled, torch.zeros_like(others), upper.amax(-1))
        parts = [best.movedim(-1, 0), above.movedim(-1, 0), constant.unsqueeze(0)]
        return torch.cat([part.to(lower.dtype) for part in parts])

    def backward(self, form: Form, site: Site) -> Pulled:
        if "planes" not in site.memory:
            site.memory["planes"] = self._prepare(site.boxes[0])
        seen = form.values(site.memory["planes"])
        positive, negative = form.coefficients.clamp(min=0), form.coefficients.clamp(max=0)
        constant = (negative * seen[:, -1:]).flatten(2).sum(2)
        elements = list(itertools.product(*(range(size) for size in self.kernel)))
        spatial = form.window[2:]
        geometry = list(zip(spatial, self.stride, self.kernel, self.dilation, strict=True))
        target = [(n - 1) * step + (size - 1) * gap + 1 for n, step, size, gap in geometry]
        rows = max(seen.shape[0], positive.shape[0])
        pulled = positive.new_zeros((rows, *positive.shape[1:4], *target))
        for number, element in enumerate(elements):
            low, up = (
                seen[:, number : number + 1],
                seen[:, len(elements) + number : len(elements) + number + 1],
            )
            place = [
                slice(first * gap, first * gap + (n - 1) * step + 1, step)
                for first, (n, step, _, gap) in zip(element, geometry, strict=True)
            ]
            index: tuple[EllipsisType | slice, ...] = (..., *place)
            pulled[index] += positive * low + negative * up
        offsets = form.offsets.clone()
        offsets[:, 2:] = offsets[:, 2:] * torch.tensor(self.stride) - torch.tensor(self.padding)
        if site.rounding.rigorous:
            size = (form.coefficients.abs() * seen[:, -1:].abs()).flatten(2).sum(2)
            size = size + self._overlap_margin(form, site)
            constant = constant - site.rounding.gamma(form.coefficients[0, 0].numel()) * size
        return Pulled((Form(pulled, offsets, site.shapes[0]).clipped(),), constant)

    def possible(self, box: Interval) -> Tensor:
        """(n, c, *output, kernel elements) bool: which elements of each window can be the largest."""
        return self._windows(box.upper) >= self._windows(box.lower).amax(-1, keepdim=True)

    def extremes(self, box: Interval, possible: Tensor) -> Interval:
        """The least and the greatest of the elements of each window that are `possible`."""
        lower = self._windows(box.lower).masked_fill(~possible, float("inf")).amin(-1)
        return Interval(lower, self._windows(box.upper).masked_fill(~possible, float("-inf")).amax(-1))

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        """A maximum changes by a mean of the changes of its elements, with weights only for those that can be largest."""
        possible = self.possible(site.boxes[0])
        lower = site.boxes[0].lower
        alone = possible & (possible.sum(-1, keepdim=True) == 1)
        weights = Interval(alone.to(lower.dtype), possible.to(lower.dtype))
        elements = Interval(gradient.lower.unsqueeze(-1), gradient.upper.unsqueeze(-1)).times(weights, 0.0)
        return pull_selection(self._windows, site.shapes, elements, site.rounding)

    def _overlap_margin(self, form: Form, site: Site) -> Tensor:
        """`|coefficients| |y|`: adding up overlapping windows rounds relative to it."""
        if "magnitude" not in site.memory:
            site.memory["magnitude"] = self.concrete(site.boxes[0].magnitude).unsqueeze(0)
        return form.like(form.coefficients.abs()).contract(form.values(site.memory["magnitude"])[:, 0])


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
