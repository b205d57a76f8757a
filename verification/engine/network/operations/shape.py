"""Operations that give the same elements another shape."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Reference, Value, lowers
from verification.engine.network.operations.base import Pulled, Rearrangement, Shape, Site
from verification.engine.relaxation import Form


@dataclass(frozen=True)
class Reshape(Rearrangement):
    """Row-major reshaping to `target`."""

    target: Shape

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0].reshape(self.target)

    def backward(self, form: Form, site: Site) -> Pulled:
        source = site.shapes[0]
        window = [1] * len(source)
        offsets = torch.zeros((form.positions, len(source)), dtype=torch.int64)
        for inner, outer in _groups(source, self.target):
            wide_in, wide_out = _wide(source, inner), _wide(self.target, outer)
            if len(wide_in) == len(wide_out) == 1:
                form = form.full(*(axis for axis in outer if axis not in wide_out))
                window[wide_in[0]] = form.window[wide_out[0]]
                offsets[:, wide_in[0]] = form.offsets[:, wide_out[0]]
                continue
            form = form.full(*outer)
            for axis in inner:
                window[axis] = source[axis]
        a = form.coefficients
        return Pulled((Form(a.reshape(*a.shape[:2], *window), offsets, source),))


def _wide(shape: Shape, axes: Sequence[int]) -> list[int]:
    return [axis for axis in axes if shape[axis] != 1]


def _groups(source: Shape, target: Shape) -> list[tuple[list[int], list[int]]]:
    """The finest partition of both shapes' axes into consecutive groups of equal size."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(source) or j < len(target):
        inner, outer = ([i] if i < len(source) else []), ([j] if j < len(target) else [])
        i, j = i + len(inner), j + len(outer)
        a, b = math.prod(source[x] for x in inner), math.prod(target[x] for x in outer)
        while a != b:
            if a < b:
                inner, a, i = [*inner, i], a * source[i], i + 1
            else:
                outer, b, j = [*outer, j], b * target[j], j + 1
        groups.append((inner, outer))
    return groups


@dataclass(frozen=True)
class Permute(Rearrangement):
    """Axis i of the output is axis `order[i]` of the input."""

    order: tuple[int, ...]

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0].permute(self.order)

    def backward(self, form: Form, site: Site) -> Pulled:
        inverse = [self.order.index(axis) for axis in range(len(self.order))]
        a = form.coefficients.permute(0, 1, *(axis + 2 for axis in inverse))
        return Pulled((Form(a, form.offsets[:, inverse], site.shapes[0]),))


@dataclass(frozen=True)
class Expand(Rearrangement):
    """Axes of size 1 repeated up to `target`, which has as many axes as the input."""

    target: Shape

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0].expand(self.target)

    def backward(self, form: Form, site: Site) -> Pulled:
        offsets = form.offsets.clone()
        a = form.coefficients
        for axis, (before, after) in enumerate(zip(site.shapes[0], self.target, strict=True)):
            if before != after:
                a = a.sum(axis + 2, keepdim=True)
                offsets[:, axis] = 0
        inner = Form(a, offsets, site.shapes[0])
        # Summing repeated copies rounds: the error is relative to |coefficients| |x|.
        if not site.rounding.rigorous:
            return Pulled((inner,))
        magnitude = site.kept("magnitude", lambda: self.concrete(site.boxes[0].magnitude).unsqueeze(0))
        size = form.like(form.coefficients.abs()).contract(form.values(magnitude)[:, 0])
        return Pulled((inner,), -site.rounding.gamma(form.coefficients[0, 0].numel()) * size)


@lowers("aten.view.default", "aten.reshape.default", "aten._unsafe_view.default")
def _view(graph: Lowering, x: Value, target: Sequence[int]) -> Value:
    return reshape(graph, x, graph.result_shape)


@lowers(
    "aten.unsqueeze.default",
    "aten.squeeze.default",
    "aten.squeeze.dim",
    "aten.squeeze.dims",
    "aten.flatten.using_ints",
)
def _same_elements(graph: Lowering, x: Value, *_: object) -> Value:
    return reshape(graph, x, graph.result_shape)


def reshape(graph: Lowering, x: Value, target: Shape) -> Value:
    """`x` itself where nothing changes. A single number is kept as a vector of one, which broadcasts alike."""
    target = target or (1,)
    return x if graph.shape(x) == target else graph.emit(Reshape(target), x)


@lowers("aten.permute.default")
def _permute(graph: Lowering, x: Value, order: Sequence[int]) -> Value:
    rank = graph.rank(x)
    return graph.emit(Permute(tuple(axis % rank for axis in order)), x) if order else x


@lowers("aten.transpose.int")
def transposed(graph: Lowering, x: Value, a: int, b: int) -> Value:
    """Two axes exchanged; `x` itself where they are the same."""
    order = list(range(graph.rank(x)))
    order[a], order[b] = order[b], order[a]
    return x if order == sorted(order) else graph.emit(Permute(tuple(order)), x)


def expand(graph: Lowering, x: Value, target: Shape) -> Value:
    """`x` broadcast to `target` by numpy's rules; like a single number, no axes at all are kept as one of size 1."""
    target = target or (1,)
    aligned = reshape(graph, x, (1,) * (len(target) - graph.rank(x)) + graph.shape(x))
    return aligned if graph.shape(aligned) == target else graph.emit(Expand(target), aligned)


@lowers("aten.expand.default")
def _expand(graph: Lowering, x: Value, target: Sequence[int], implicit: bool = False) -> Value:
    return expand(graph, x, graph.result_shape)


@lowers(
    "aten.clone.default",
    "aten.alias.default",
    "aten.detach.default",
    "aten.contiguous.default",
    "aten.lift_fresh_copy.default",
    "aten._to_copy.default",
)
def _identity(graph: Lowering, x: Value, *_: object, **__: object) -> Value:
    """Conversions too: what is not float32 or float64 afterwards was refused before."""
    return x


@lowers("aten.copy.default")
def _copy(graph: Lowering, x: Value, y: Value, *_: object) -> Value:
    """`y` in the place of x."""
    return expand(graph, y, graph.result_shape) if isinstance(y, Reference) else y.double().expand(graph.result_shape)


@lowers("aten._assert_tensor_metadata.default")
def _nothing(graph: Lowering, *_: object, **__: object) -> None:
    """A check of torch's own that has passed."""
