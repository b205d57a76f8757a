"""Elements taken along an axis by constant indices: flips, rolls, repeats, selections, strides."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Value, lowers, spread
from verification.engine.network.operations.base import Pulled, Rearrangement, Site
from verification.engine.network.operations.shape import Permute, reshape
from verification.engine.relaxation import Form


@dataclass(frozen=True)
class Take(Rearrangement):
    """Element i along `axis` is the input's element `index[i]`, all indices being at least 0."""

    axis: int
    index: tuple[int, ...]

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0].index_select(self.axis, torch.tensor(self.index, device=inputs[0].device))

    def backward(self, form: Form, site: Site) -> Pulled:
        """Each coefficient is added to that of its source, in windows just wide enough for their sources."""
        source, inside = self._sources(form)
        end = site.shapes[0][self.axis]
        first = torch.where(inside, source, end).amin(1)
        last = torch.where(inside, source, -1).amax(1)
        first = torch.minimum(first, last.clamp(min=0))  # a window that sees nothing lies anywhere
        length = max(int((last - first).max()) + 1, 1)
        place = (source - first[:, None]).clamp(0, length - 1)
        offsets = form.offsets.clone()
        offsets[:, self.axis] = first
        inner = Form(self._scattered(form, place, length), offsets, site.shapes[0])
        if len(set(self.index)) == len(self.index) or not site.rounding.rigorous:
            return Pulled((inner,))
        # Adding up the coefficients of repeated elements rounds: the error is relative to |coefficients| |x|.
        magnitude = site.kept("magnitude", lambda: self.concrete(site.boxes[0].magnitude).unsqueeze(0))
        size = form.like(form.coefficients.abs()).contract(form.values(magnitude)[:, 0])
        return Pulled((inner,), -site.rounding.gamma(form.coefficients[0, 0].numel()) * size)

    def _sources(self, form: Form) -> tuple[Tensor, Tensor]:
        """(P, window): which element of the input each entry of a window shows, and whether it lies in the tensor."""
        steps = form.offsets[:, self.axis, None] + torch.arange(form.window[self.axis])
        inside = (steps >= 0) & (steps < len(self.index))
        return torch.tensor(self.index)[steps.clamp(0, len(self.index) - 1)], inside

    def _scattered(self, form: Form, place: Tensor, length: int) -> Tensor:
        """Coefficients outside the tensor are zero, so that wherever they are added they change nothing."""
        a, dim = form.coefficients, self.axis + 2
        if bool((place == place[:1]).all()):
            place = place[:1]
        rows = max(a.shape[0], place.shape[0])
        a = a.expand(rows, *a.shape[1:])
        view = [place.shape[0]] + [1] * (a.dim() - 1)
        view[dim] = place.shape[1]
        target = list(a.shape)
        target[dim] = length
        return a.new_zeros(target).scatter_add_(dim, place.to(a.device).view(view).expand(a.shape), a)


def take(graph: Lowering, x: Value, axis: int, index: Sequence[int]) -> Value:
    """`x` itself where the selection is everything in order."""
    axis %= graph.rank(x)
    size = graph.shape(x)[axis]
    chosen = tuple(i + size if i < 0 else i for i in index)
    if not all(0 <= i < size for i in chosen):
        _beyond(graph)
    return x if chosen == tuple(range(size)) else graph.emit(Take(axis, chosen), x)


def _beyond(graph: Lowering) -> NoReturn:
    graph.refuse("an index beyond the end of a tensor", "mend the index")


@lowers("aten.flip.default")
def _flip(graph: Lowering, x: Value, axes: Sequence[int]) -> Value:
    for axis in axes:
        x = take(graph, x, axis, range(graph.shape(x)[axis])[::-1])
    return x


@lowers("aten.roll.default")
def _roll(graph: Lowering, x: Value, shifts: Sequence[int], axes: Sequence[int] = ()) -> Value:
    if not axes:
        graph.refuse("a roll over all axes at once", "name the axis along which to roll")
    for shift, axis in zip(spread(shifts, len(axes)), axes, strict=True):
        size = graph.shape(x)[axis]
        x = take(graph, x, axis, [(i - shift) % size for i in range(size)])
    return x


@lowers("aten.repeat.default")
def _repeat(graph: Lowering, x: Value, counts: Sequence[int]) -> Value:
    x = reshape(graph, x, (1,) * (len(counts) - graph.rank(x)) + graph.shape(x))
    for axis, count in enumerate(counts):
        x = take(graph, x, axis, list(range(graph.shape(x)[axis])) * count)
    return x


@lowers("aten.unfold.default")
def _unfold(graph: Lowering, x: Value, axis: int, size: int, step: int) -> Value:
    """Windows along an axis; what is in them lies along a new last axis."""
    axis %= graph.rank(x)
    shape = graph.shape(x)
    windows = range(0, shape[axis] - size + 1, step)
    taken = take(graph, x, axis, [start + i for start in windows for i in range(size)])
    parted = reshape(graph, taken, (*shape[:axis], len(windows), size, *shape[axis + 1 :]))
    order = [i for i in range(graph.rank(parted)) if i != axis + 1]
    return graph.emit(Permute((*order, axis + 1)), parted)


@lowers("aten.index_select.default")
def _index_select(graph: Lowering, x: Value, axis: int, index: Value) -> Value:
    return take(graph, x, axis, _numbers(graph, index).reshape(-1).tolist())


@lowers("aten.index.Tensor")
def _index(graph: Lowering, x: Value, indices: Sequence[Value | None]) -> Value:
    """Indexed axes that stand side by side are joined to one, of which single elements are then taken."""
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    if axes != list(range(axes[0], axes[-1] + 1)):
        graph.refuse("indices on axes that do not stand side by side")
    shape = graph.shape(x)
    joined = torch.zeros((), dtype=torch.int64)
    for axis in axes:
        index = _numbers(graph, indices[axis])
        index = torch.where(index < 0, index + shape[axis], index)
        if not bool(((index >= 0) & (index < shape[axis])).all()):
            _beyond(graph)  # joined to one axis it would point to another element
        joined = joined * shape[axis] + index
    before, after = shape[: axes[0]], shape[axes[-1] + 1 :]
    flat = reshape(graph, x, (*before, math.prod(shape[a] for a in axes), *after))
    return reshape(graph, take(graph, flat, axes[0], joined.reshape(-1).tolist()), graph.result_shape)


def _numbers(graph: Lowering, index: Value | None) -> Tensor:
    if not isinstance(index, Tensor):
        graph.refuse("indices that depend on the clip")
    if index.dtype in (torch.bool, torch.uint8):  # torch takes bytes for masks
        graph.refuse("a selection by true-or-false values", "select by whole numbers")
    return index.long()
