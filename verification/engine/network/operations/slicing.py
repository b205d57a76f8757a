"""Operations that take parts of tensors and put them together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.base import Pulled, Rearrangement, Site
from verification.engine.network.operations.constant import constant
from verification.engine.network.operations.gather import take
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
    last = max(first, last)
    if step == 1:
        return cut(graph, x, axis, first, last)
    return take(graph, x, axis, range(first, last, step))


@lowers("aten.select.int")
def _select(graph: Lowering, x: Value, axis: int, index: int) -> Value:
    axis %= graph.rank(x)
    index %= graph.shape(x)[axis]
    return reshape(graph, cut(graph, x, axis, index, index + 1), graph.result_shape)


@lowers("aten.split_with_sizes.default")
def _split(graph: Lowering, x: Value, sizes: Sequence[int], axis: int = 0) -> tuple[Value, ...]:
    axis %= graph.rank(x)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return tuple(cut(graph, x, axis, a, a + n) for a, n in zip(starts, sizes, strict=True))


@lowers("aten.cat.default")
def _cat(graph: Lowering, parts: Sequence[Value], axis: int = 0) -> Value:
    whole = [constant(graph, part) for part in parts if 0 not in graph.shape(part)]
    return graph.emit(Concatenate(axis % graph.rank(whole[0])), *whole)


@lowers("aten.slice_scatter.default")
def _slice_scatter(
    graph: Lowering,
    x: Value,
    part: Value,
    axis: int = 0,
    start: int | None = None,
    stop: int | None = None,
    step: int = 1,
) -> Value:
    """`x` with `part` in the place of a slice."""
    axis %= graph.rank(x)
    size = graph.shape(x)[axis]
    replaced = range(*slice(start, stop, step).indices(size))
    both = _cat(graph, [x, part], axis)
    places = {place: size + number for number, place in enumerate(replaced)}
    return take(graph, both, axis, [places.get(i, i) for i in range(size)])


@lowers("aten.select_scatter.default")
def _select_scatter(graph: Lowering, x: Value, part: Value, axis: int, index: int) -> Value:
    """`x` with `part` in the place of one element along `axis`."""
    axis %= graph.rank(x)
    index %= graph.shape(x)[axis]
    shape = (*graph.shape(x)[:axis], 1, *graph.shape(x)[axis + 1 :])
    whole = part.reshape(shape) if isinstance(part, Tensor) else reshape(graph, part, shape)
    return _slice_scatter(graph, x, whole, axis, index, index + 1)
