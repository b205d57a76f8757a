"""Matrix products with a constant."""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.base import Operation, Pulled, Site
from verification.engine.relaxation import Form, Interval, Rounding


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
        centre = (box.lower + box.upper) / 2
        radius = torch.maximum(box.upper - centre, centre - box.lower)
        middle, reach = self.concrete(centre), radius @ self.weight.abs()
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
            if "magnitude" not in site.memory:
                site.memory["magnitude"] = self._magnitude(site.boxes[0]).unsqueeze(0)
            size = form.like(a.abs()).contract(form.values(site.memory["magnitude"])[:, 0])
            constant = constant - site.rounding.gamma(a[0, 0].numel() + self.weight.shape[0]) * size
        return Pulled((inner,), constant)


@lowers("aten.addmm.default")
def _addmm(graph: Lowering, bias: Value, x: Value, weight: Value) -> Value:
    if not (isinstance(bias, Tensor) and isinstance(weight, Tensor)):
        graph.refuse("a matrix product of two tensors that both depend on the clip")
    return graph.emit(Linear(weight, bias.expand(weight.shape[1]).contiguous()), x)


@lowers("aten.mm.default", "aten.matmul.default")
def _mm(graph: Lowering, x: Value, weight: Value) -> Value:
    if not isinstance(weight, Tensor) or weight.dim() != 2 or isinstance(x, Tensor):
        graph.refuse("a matrix product whose right factor is not a constant matrix")
    return graph.emit(Linear(weight, torch.zeros(weight.shape[1], dtype=weight.dtype)), x)
