"""Borders: a constant value, or pixels of the tensor itself (replicate, reflect, circular). Negative borders crop."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch.nn import functional

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.arithmetic import affine
from verification.engine.network.operations.gather import take
from verification.engine.network.operations.slicing import ZeroPad, cut


def _by_axis(graph: Lowering, x: Value, flat: Sequence[int]) -> list[tuple[int, int]]:
    """(before, after) for every axis, from torch's list that begins with the last axis."""
    pairs = list(pairwise(flat))[::2]
    return [(0, 0)] * (graph.rank(x) - len(pairs)) + pairs[::-1]


@lowers("aten.constant_pad_nd.default")
def _pad_constant(graph: Lowering, x: Value, flat: Sequence[int], value: float = 0.0) -> Value:
    borders = _by_axis(graph, x, flat)
    for axis, (before, after) in enumerate(borders):
        x = cut(graph, x, axis, max(-before, 0), graph.shape(x)[axis] + min(after, 0))
    wide = tuple((max(before, 0), max(after, 0)) for before, after in borders)
    if not any(map(any, wide)):
        return x
    if not value:
        return graph.emit(ZeroPad(wide), x)
    inner = torch.zeros(graph.shape(x), dtype=torch.float64)
    flat_wide = [count for border in reversed(wide) for count in border]
    return affine(graph, graph.emit(ZeroPad(wide), x), 1.0, functional.pad(inner, flat_wide, value=value))


@lowers("aten.pad.default")
def _pad(graph: Lowering, x: Value, flat: Sequence[int], mode: str = "constant", value: float | None = None) -> Value:
    if mode == "constant":
        return _pad_constant(graph, x, flat, value or 0.0)
    for axis, (before, after) in enumerate(_by_axis(graph, x, flat)):
        if mode == "circular":  # torch crops first and goes round what is left
            x = cut(graph, x, axis, max(-before, 0), graph.shape(x)[axis] + min(after, 0))
            before, after = max(before, 0), max(after, 0)
        size = graph.shape(x)[axis]
        x = take(graph, x, axis, [_source(mode, i, size) for i in range(-before, size + after)])
    return x


def _source(mode: str, i: int, size: int) -> int:
    """The element shown at position i, which may lie outside; torch allows no border that would need two reflections."""
    if mode == "circular":
        return i % size
    if mode == "reflect":
        return size - 1 - abs(size - 1 - abs(i))
    return min(max(i, 0), size - 1)
