"""Convolution over one, two or three axes, and average pooling, which is one with constant weights."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.lowering import Lowering, Value, lowers, spread
from verification.engine.network.operations.base import Operation, Pulled, Site
from verification.engine.relaxation import Form, Interval, Rounding

_CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSE = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


@dataclass(frozen=True)
class Convolution(Operation):
    """`weight` (out, in / groups, *kernel), `bias` (out,); zero padding."""

    weight: Tensor
    bias: Tensor
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def rank(self) -> int:
        return len(self.stride)

    def _apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve = _CONVOLVE[self.rank]
        return convolve(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def concrete(self, *inputs: Tensor) -> Tensor:
        return self._apply(inputs[0], self.weight, self.bias)

    def _magnitude(self, box: Interval) -> Tensor:
        """`|W| |x| + |b|`: what the rounding error of the convolution is relative to."""
        return self._apply(box.magnitude, self.weight.abs(), self.bias.abs())

    def _terms(self) -> int:
        return math.prod(self.weight.shape[1:])

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        box = boxes[0]
        centre = (box.lower + box.upper) / 2
        radius = torch.maximum(box.upper - centre, centre - box.lower)
        middle, reach = self.concrete(centre), self._apply(radius, self.weight.abs(), None)
        if rounding.rigorous:
            reach = reach + rounding.gamma(self._terms()) * 3 * self._magnitude(box)
        return Interval(middle - reach, middle + reach)

    def backward(self, form: Form, site: Site) -> Pulled:
        form = form.full(1)
        a = form.coefficients
        batch, spatial = form.window[0], form.window[2:]
        flat = a.reshape(-1, a.shape[3], *spatial)
        pulled = _TRANSPOSE[self.rank](flat, self.weight, None, self.stride, 0, 0, self.groups, self.dilation)
        offsets = form.offsets.clone()
        offsets[:, 2:] = offsets[:, 2:] * torch.tensor(self.stride) - torch.tensor(self.padding)
        offsets[:, 1] = 0
        inner = Form(pulled.view(*a.shape[:2], batch, *pulled.shape[1:]), offsets, site.shapes[0]).clipped()
        constant = torch.einsum("pkc,c->pk", a.sum((2, *range(4, a.dim()))), self.bias)
        if site.rounding.rigorous:
            if "magnitude" not in site.memory:
                site.memory["magnitude"] = self._magnitude(site.boxes[0]).unsqueeze(0)
            size = form.like(a.abs()).contract(form.values(site.memory["magnitude"])[:, 0])
            # Pulling back sums over outputs, adding the constant over the whole window: take the longer sum.
            constant = constant - site.rounding.gamma(a[0, 0].numel() + self._terms()) * size
        return Pulled((inner,), constant)


@lowers("aten.convolution.default")
def _convolution(
    graph: Lowering,
    x: Value,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Value:
    if transposed:
        graph.refuse("a transposed convolution")
    rank = weight.dim() - 2
    if graph.rank(x) != rank + 2:
        graph.refuse("a convolution without a batch axis")
    bias = weight.new_zeros(weight.shape[0]) if bias is None else bias
    geometry = (spread(stride, rank), spread(padding, rank), spread(dilation, rank))
    return graph.emit(Convolution(weight, bias, *geometry, groups), x)


@lowers("aten.avg_pool1d.default")
def _average_pool_1d(graph: Lowering, x: Value, *arguments: Any) -> Value:
    return _average_pool(graph, 1, x, *arguments)


@lowers("aten.avg_pool2d.default")
def _average_pool_2d(graph: Lowering, x: Value, *arguments: Any) -> Value:
    return _average_pool(graph, 2, x, *arguments)


@lowers("aten.avg_pool3d.default")
def _average_pool_3d(graph: Lowering, x: Value, *arguments: Any) -> Value:
    return _average_pool(graph, 3, x, *arguments)


def _average_pool(
    graph: Lowering,
    rank: int,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Value:
    if graph.rank(x) != rank + 2:
        graph.refuse("average pooling without a batch axis")
    size = spread(kernel, rank)
    borders = spread(padding, rank)
    if ceil_mode or (any(borders) and not count_include_pad):
        graph.refuse("average pooling with ceil_mode or with padding that is not counted")
    channels = graph.shape(x)[1]
    weight = torch.full((channels, 1, *size), 1.0 / (divisor or math.prod(size)), dtype=torch.float64)
    steps = spread(stride or kernel, rank)
    pool = Convolution(weight, weight.new_zeros(channels), steps, borders, (1,) * rank, channels)
    return graph.emit(pool, x)
