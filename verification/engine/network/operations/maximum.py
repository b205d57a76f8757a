"""Adaptive and global max-pooling, and the largest or smallest element along axes: all of them are max-pooling."""

import math
from collections.abc import Sequence

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.arithmetic import affine
from verification.engine.network.operations.average_pool import adaptive_windows
from verification.engine.network.operations.gather import take
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.reduction import axes_of
from verification.engine.network.operations.shape import Permute, reshape


def _pool(graph: Lowering, x: Value, kernel: tuple[int, ...]) -> Value:
    """Windows of size `kernel` side by side."""
    rank = len(kernel)
    return graph.emit(MaxPool(kernel, kernel, (0,) * rank, (1,) * rank), x)


@lowers("aten.adaptive_max_pool2d.default", "aten.adaptive_max_pool3d.default")
def _adaptive_maximum(graph: Lowering, x: Value, target: Sequence[int]) -> tuple[Value, None]:
    """Windows of unequal length are filled up by repeating their last element, which leaves the maximum as it is."""
    if graph.rank(x) != len(target) + 2:
        graph.refuse("max-pooling without a batch axis")
    kernel = []
    for axis, count in enumerate(target, start=2):
        windows = adaptive_windows(graph.shape(x)[axis], count)
        length = max(map(len, windows))
        x = take(graph, x, axis, [window[min(i, len(window) - 1)] for window in windows for i in range(length)])
        kernel.append(length)
    return _pool(graph, x, tuple(kernel)), None


def _largest(graph: Lowering, x: Value, axes: Sequence[int] | int | None) -> Value:
    over, shape = axes_of(graph, x, axes), graph.shape(x)
    if over[0] >= 2 and len(shape) in (4, 5):
        kernel = tuple(shape[axis] if axis in over else 1 for axis in range(2, len(shape)))
        return reshape(graph, _pool(graph, x, kernel), graph.result_shape)
    kept = [axis for axis in range(len(shape)) if axis not in over]
    count = math.prod(shape[axis] for axis in over)
    rows = reshape(graph, graph.emit(Permute((*kept, *over)), x), (1, math.prod(shape) // count, 1, count))
    return reshape(graph, _pool(graph, rows, (1, count)), graph.result_shape)


@lowers("aten.amax.default")
def _amax(graph: Lowering, x: Value, axes: Sequence[int] = (), keepdim: bool = False) -> Value:
    return _largest(graph, x, axes or None)


@lowers("aten.amin.default")
def _amin(graph: Lowering, x: Value, axes: Sequence[int] = (), keepdim: bool = False) -> Value:
    return affine(graph, _largest(graph, affine(graph, x, -1.0, 0.0), axes or None), -1.0, 0.0)


@lowers("aten.max.default")
def _max(graph: Lowering, x: Value) -> Value:
    return _largest(graph, x, None)


@lowers("aten.min.default")
def _min(graph: Lowering, x: Value) -> Value:
    return _amin(graph, x)


@lowers("aten.max.dim")
def _max_along(graph: Lowering, x: Value, axis: int, keepdim: bool = False) -> tuple[Value, None]:
    return _amax(graph, x, [axis]), None


@lowers("aten.min.dim")
def _min_along(graph: Lowering, x: Value, axis: int, keepdim: bool = False) -> tuple[Value, None]:
    return _amin(graph, x, [axis]), None
