"""Matrix products with a constant."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.arithmetic import add, affine
from verification.engine.network.operations.base import Operation, Pulled, Site
from verification.engine.network.operations.shape import transposed
from verification.engine.network.operations.slicing import Concatenate, cut
from verification.engine.relaxation import Form, Interval, Rounding
from verification.engine.relaxation.transpose import pull_affine


@dataclass(frozen=True)
class Linear(Operation):
    """`x W + b` on the last axis: `weight` (n, m), `bias` (m,)."""

    weight: Tensor
    bias: Tensor

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0] @ self.weight + self.bias

    def channel_axis(self, shape: tuple[int, ...]) -> int:
        return len(shape) - 1

    def _magnitude(self, box: Interval) -> Tensor:
        return box.magnitude @ self.weight.abs() + self.bias.abs()

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        box = boxes[0]
        middle, reach = self.concrete(box.centre), box.radius @ self.weight.abs()
        if rounding.rigorous:
            reach = reach + rounding.gamma(self.weight.shape[0]) * 3 * self._magnitude(box)
        return Interval(middle - reach, middle + reach)

    def backward(self, form: Form, site: Site) -> Pulled:
        last = len(form.shape) - 1
        form = form.full(last)
        a = form.coefficients
        offsets = form.offsets.clone()
        offsets[:, last] = 0
        inner = Form(a @ self.weight.T, offsets, site.shapes[0])
        constant = (a @ self.bias).reshape(*a.shape[:2], -1).sum(2)
        if site.rounding.rigorous:
            magnitude = site.kept("magnitude", lambda: self._magnitude(site.boxes[0]).unsqueeze(0))
            size = form.like(a.abs()).contract(form.values(magnitude)[:, 0])
            constant = constant - site.rounding.gamma(a[0, 0].numel() + self.weight.shape[0]) * size
        return Pulled((inner,), constant)

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        size = self.weight.abs()
        return (pull_affine(self.concrete, lambda x: x @ size, site.shapes[0], gradient, site.rounding),)

    def linear_part(self) -> Operation:
        return replace(self, bias=torch.zeros_like(self.bias))


def multiply(graph: Lowering, x: Value, y: Value) -> Value:
    """The matrix product of a node and a constant, in either order, over the last two axes; other axes alike in both."""
    if isinstance(x, Tensor):
        flipped = multiply(graph, transposed(graph, y, -1, -2), x.transpose(-1, -2))
        return transposed(graph, flipped, -1, -2)
    if not isinstance(y, Tensor):
        graph.refuse("a matrix product of two tensors that both depend on the clip")
    if y.dim() == 2:
        return graph.emit(Linear(y.contiguous(), y.new_zeros(y.shape[1])), x)
    if bool((y == y[:1]).all()):
        return multiply(graph, x, y[0])
    parts = [multiply(graph, cut(graph, x, 0, i, i + 1), factor) for i, factor in enumerate(y)]
    return graph.emit(Concatenate(0), *parts)


def along(graph: Lowering, x: Value, axis: int, matrix: Tensor) -> Value:
    """The linear map `matrix` (before, after) along one axis."""
    return transposed(graph, multiply(graph, transposed(graph, x, axis, -1), matrix), axis, -1)


@lowers("aten.addmm.default", "aten.baddbmm.default")
def _addmm(graph: Lowering, bias: Value, x: Value, y: Value, *, beta: float = 1, alpha: float = 1) -> Value:
    if isinstance(bias, Tensor) and isinstance(y, Tensor) and y.dim() == 2 and bias.dim() == 1:
        return graph.emit(Linear(alpha * y, (beta * bias).expand(y.shape[1]).contiguous()), x)
    product = multiply(graph, x, y)
    return add(graph, product if alpha == 1 else affine(graph, product, alpha, 0.0), bias, alpha=beta)


@lowers("aten.cumsum.default")
def _cumsum(graph: Lowering, x: Value, axis: int, **_: object) -> Value:
    size = graph.shape(x)[axis]
    return along(graph, x, axis, torch.ones((size, size), dtype=torch.float64).triu())


@lowers("aten.mm.default", "aten.bmm.default")
def _mm(graph: Lowering, x: Value, y: Value) -> Value:
    return multiply(graph, x, y)
