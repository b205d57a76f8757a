"""Sums and means over axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.arithmetic import affine
from verification.engine.network.operations.base import Operation, Pulled, Site
from verification.engine.network.operations.shape import reshape
from verification.engine.relaxation import Form, Interval, Rounding
from verification.engine.relaxation.transpose import pull_selection


@dataclass(frozen=True)
class Sum(Operation):
    """The sum over `axes`, which remain with size 1."""

    axes: tuple[int, ...]

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0].sum(self.axes, keepdim=True)

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        box = boxes[0]
        terms = math.prod(box.lower.shape[axis] for axis in self.axes)
        margin = rounding.gamma(terms) * self.concrete(box.magnitude)
        return Interval(self.concrete(box.lower) - margin, self.concrete(box.upper) + margin)

    def backward(self, form: Form, site: Site) -> Pulled:
        shape = site.shapes[0]
        form = form.full(*self.axes)
        window = [shape[a] if a in self.axes else form.window[a] for a in range(len(shape))]
        coefficients = form.coefficients.expand(*form.coefficients.shape[:2], *window)
        return Pulled((Form(coefficients, form.offsets, shape),))

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        return pull_selection(self.concrete, site.shapes, gradient, site.rounding)

    def linear_part(self) -> Operation:
        return self


def axes_of(graph: Lowering, x: Value, axes: Sequence[int] | int | None) -> tuple[int, ...]:
    """The axes of a reduction, none below zero, in order; none named means all."""
    rank = graph.rank(x)
    chosen = range(rank) if axes is None or axes == [] else [axes] if isinstance(axes, int) else axes
    return tuple(sorted({axis % rank for axis in chosen}))


@lowers("aten.sum.dim_IntList", "aten.sum.default")
def _sum(graph: Lowering, x: Value, axes: Sequence[int] | None = None, keepdim: bool = False, **_: object) -> Value:
    return reshape(graph, graph.emit(Sum(axes_of(graph, x, axes)), x), graph.result_shape)


@lowers("aten.mean.dim", "aten.mean.default")
def _mean(graph: Lowering, x: Value, axes: Sequence[int] | None = None, keepdim: bool = False, **_: object) -> Value:
    over = axes_of(graph, x, axes)
    count = math.prod(graph.shape(x)[axis] for axis in over)
    total = graph.emit(Sum(over), x)
    return reshape(graph, affine(graph, total, 1.0 / count, 0.0), graph.result_shape)
