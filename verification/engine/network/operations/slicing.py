"""Operations that take parts of tensors and put them together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.base import Pulled, Rearrangement, Site
from verification.engine.network.operations.shape import reshape
from verification.engine.relaxation import Form


@dataclass(frozen=True)
class Slice(Rearrangement):
    """Elements `start` to `stop` along `axis`."""

    axis: int
    start: int
    stop: int

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0].narrow(self.axis, self.start, self.stop - self.start)

    def backward(self, form: Form, site: Site) -> Pulled:
        offsets = form.offsets.clone()
        offsets[:, self.axis] += self.start
        return Pulled((Form(form.coefficients, offsets, site.shapes[0]),))


@dataclass(frozen=True)
class Concatenate(Rearrangement):
    """The inputs one after the other along `axis`."""

    axis: int

    def concrete(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, self.axis)

    def backward(self, form: Form, site: Site) -> Pulled:
        forms: list[Form | None] = []
        start = 0
        for shape in site.shapes:
            first = form.offsets[:, self.axis] - start
            start += shape[self.axis]
            if bool(((first >= shape[self.axis]) | (first + form.window[self.axis] <= 0)).all()):
                forms.append(None)
                continue
            offsets = form.offsets.clone()
            offsets[:, self.axis] = first
            forms.append(Form(form.coefficients, offsets, shape).clipped())
        return Pulled(tuple(forms))


@dataclass(frozen=True)
class ZeroPad(Rearrangement):
    """Zeros around the tensor: `borders[axis] = (before, after)`, none negative."""

    borders: tuple[tuple[int, int], ...]

    def concrete(self, *inputs: Tensor) -> Tensor:
        flat = [count for border in reversed(self.borders) for count in border]
        return functional.pad(inputs[0], flat)

    def backward(self, form: Form, site: Site) -> Pulled:
        before = torch.tensor([border[0] for border in self.borders])
        return Pulled((Form(form.coefficients, form.offsets - before, site.shapes[0]).clipped(),))


def cut(graph: Lowering, x: Value, axis: int, start: int, stop: int) -> Value:
    """A slice, or `x` itself where it is the whole."""
    size = graph.shape(x)[axis]
    return x if (start, stop) == (0, size) else graph.emit(Slice(axis, start, stop), x)


@lowers("aten.slice.Tensor")
def _slice(
    graph: Lowering, x: Value, axis: int = 0, start: int | None = None, stop: int | None = None, step: int = 1
) -> Value:
    axis %= graph.rank(x)
    size = graph.shape(x)[axis]
    first, last, _ = slice(start, stop).indices(size)
    if step == 1:
        return cut(graph, x, axis, first, last)
    parts = [cut(graph, x, axis, i, i + 1) for i in range(first, last, step)]
    return graph.emit(Concatenate(axis), *parts)


@lowers("aten.select.int")
def _select(graph: Lowering, x: Value, axis: int, index: int) -> Value:
    axis %= graph.rank(x)
    index %= graph.shape(x)[axis]
    return reshape(graph, cut(graph, x, axis, index, index + 1), graph.result_shape)


@lowers("aten.flip.default")
def _flip(graph: Lowering, x: Value, axes: Sequence[int]) -> Value:
    for raw in axes:
        axis = raw % graph.rank(x)
        parts = [cut(graph, x, axis, i, i + 1) for i in reversed(range(graph.shape(x)[axis]))]
        x = graph.emit(Concatenate(axis), *parts)
    return x


@lowers("aten.split_with_sizes.default")
def _split(graph: Lowering, x: Value, sizes: Sequence[int], axis: int = 0) -> tuple[Value, ...]:
    axis %= graph.rank(x)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return tuple(cut(graph, x, axis, a, a + n) for a, n in zip(starts, sizes, strict=True))


@lowers("aten.cat.default")
def _cat(graph: Lowering, parts: Sequence[Value], axis: int = 0) -> Value:
    if any(isinstance(part, Tensor) for part in parts):
        graph.refuse("a concatenation with a constant")
    return graph.emit(Concatenate(axis % graph.rank(parts[0])), *parts)


@lowers("aten.constant_pad_nd.default")
def _pad(graph: Lowering, x: Value, flat: Sequence[int], value: float = 0.0) -> Value:
    if value or min(flat) < 0:
        graph.refuse("padding with another value than zero, or cropping by negative padding")
    pairs = [(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)]
    borders: list[tuple[int, int]] = [(0, 0)] * (graph.rank(x) - len(pairs)) + pairs[::-1]
    return graph.emit(ZeroPad(tuple(borders)), x)
