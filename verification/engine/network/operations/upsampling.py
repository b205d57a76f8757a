"""Pictures made larger or smaller: nearest neighbours are a selection, bilinear weights a matrix along each axis.

Both are read off torch's own function on pictures that vary along one axis only, so that its rules for where a pixel
comes from (sizes, scale factors, corners) hold here as well.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.gather import take
from verification.engine.network.operations.linear import along

_NEAREST: Any = torch.ops.aten.upsample_nearest2d.vec
_BILINEAR: Any = torch.ops.aten.upsample_bilinear2d.vec


def _weights(resized: Callable[[Tensor], Tensor], height: int, width: int) -> tuple[Tensor, Tensor]:
    """(height, new height) and (width, new width): how much each row, or column, counts in each new one."""
    rows = torch.eye(height, dtype=torch.float64).view(height, 1, height, 1).expand(height, 1, height, width)
    columns = torch.eye(width, dtype=torch.float64).view(width, 1, 1, width).expand(width, 1, height, width)
    return resized(rows)[:, 0, :, 0], resized(columns)[:, 0, 0, :]


@lowers("aten.upsample_nearest2d.vec")
def _nearest(graph: Lowering, x: Value, size: Sequence[int] | None, factors: Sequence[float] | None) -> Value:
    for axis, weights in enumerate(_weights(lambda p: _NEAREST(p, size, factors), *graph.shape(x)[2:]), start=2):
        x = take(graph, x, axis, weights.argmax(0).tolist())
    return x


@lowers("aten.upsample_bilinear2d.vec")
def _bilinear(
    graph: Lowering, x: Value, size: Sequence[int] | None, corners: bool, factors: Sequence[float] | None
) -> Value:
    weights = _weights(lambda p: _BILINEAR(p, size, corners, factors), *graph.shape(x)[2:])
    for axis, matrix in enumerate(weights, start=2):
        x = along(graph, x, axis, matrix)
    return x
