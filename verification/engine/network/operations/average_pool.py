"""Average pooling with fixed windows (a convolution with constant weights) and with windows that adapt to the size."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Value, lowers, spread
from verification.engine.network.operations.arithmetic import affine
from verification.engine.network.operations.convolution import Convolution
from verification.engine.network.operations.linear import along
from verification.engine.network.operations.slicing import ZeroPad


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
    size, steps, borders = spread(kernel, rank), spread(stride or kernel, rank), spread(padding, rank)
    if divisor or not (ceil_mode or (any(borders) and not count_include_pad)):
        counts = torch.tensor(float(divisor or math.prod(size)), dtype=torch.float64)
    else:
        counts = _counts(graph.shape(x)[2:], graph.result_shape[2:], size, steps, borders, count_include_pad)
    if ceil_mode:
        x, borders = _prolonged(graph, x, size, steps, borders)
    channels = graph.shape(x)[1]
    weight = torch.full((channels, 1, *size), 1.0 / float(counts.max()), dtype=torch.float64)
    pool = Convolution(weight, weight.new_zeros(channels), steps, borders, (1,) * rank, channels)
    mean = graph.emit(pool, x)
    return mean if bool((counts == counts.max()).all()) else affine(graph, mean, counts.max() / counts, 0.0)


def _prolonged(
    graph: Lowering, x: Value, size: Sequence[int], steps: Sequence[int], borders: Sequence[int]
) -> tuple[Value, tuple[int, ...]]:
    """`x` with its borders, and with the zeros at the end that ceil_mode's last windows reach."""
    ends = [
        max(0, (count - 1) * step + k - n - border)
        for count, step, k, n, border in zip(
            graph.result_shape[2:], steps, size, graph.shape(x)[2:], borders, strict=True
        )
    ]
    pad = ZeroPad(((0, 0), (0, 0), *zip(borders, ends, strict=True)))
    return graph.emit(pad, x), (0,) * len(ends)


def _counts(
    before: Sequence[int],
    after: Sequence[int],
    size: Sequence[int],
    steps: Sequence[int],
    borders: Sequence[int],
    padding_counts: bool,
) -> Tensor:
    """By how much each window's sum is divided: its elements, with or without those of the padding, none beyond it."""
    total = torch.ones((), dtype=torch.float64)
    for n, count, k, step, border in zip(before, after, size, steps, borders, strict=True):
        start = torch.arange(count) * step - border
        end = torch.minimum(start + k, torch.tensor(n + border))
        if not padding_counts:
            start, end = start.clamp(min=0), end.clamp(max=n)
        total = total.unsqueeze(-1) * (end - start)
    return total


@lowers(
    "aten._adaptive_avg_pool2d.default",
    "aten._adaptive_avg_pool3d.default",
    "aten.adaptive_avg_pool1d.default",
)
def _adaptive_average(graph: Lowering, x: Value, target: Sequence[int]) -> Value:
    """Along each axis output i is the mean of the inputs from `floor(i n / m)` to below `ceil((i + 1) n / m)`."""
    first = graph.rank(x) - len(target)
    for axis, count in enumerate(graph.result_shape[first:], start=first):
        size = graph.shape(x)[axis]
        matrix = torch.zeros((size, count), dtype=torch.float64)
        for i, window in enumerate(adaptive_windows(size, count)):
            matrix[window.start : window.stop, i] = 1 / len(window)
        x = along(graph, x, axis, matrix)
    return x


def adaptive_windows(size: int, count: int) -> list[range]:
    """torch's windows of adaptive pooling from `size` elements to `count`."""
    return [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
