"""Sums of nodes, and sums and products with constants."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Reference, Value, lowers
from verification.engine.network.operations.base import Operation, Pulled, Site
from verification.engine.network.operations.gated import Silu
from verification.engine.network.operations.power import Power
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.shape import expand
from verification.engine.network.operations.sigmoid import Sigmoid
from verification.engine.relaxation import Form, Interval, Rounding

#: What an arithmetic operation may get: a value of the clip, a constant tensor, or a number.
Operand = Value | float


@dataclass(frozen=True)
class Add(Operation):
    """`x + sign * y`, equal shapes."""

    sign: int = 1

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0] + inputs[1] if self.sign > 0 else inputs[0] - inputs[1]

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        x, y = boxes
        low, up = (y.lower, y.upper) if self.sign > 0 else (-y.upper, -y.lower)
        result = Interval(x.lower + low, x.upper + up)
        return result.widened(rounding.gamma(1) * (x.magnitude + y.magnitude))

    def backward(self, form: Form, site: Site) -> Pulled:
        return Pulled((form, form if self.sign > 0 else form.like(-form.coefficients)))

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        return gradient, gradient if self.sign > 0 else Interval(-gradient.upper, -gradient.lower)

    def linear_part(self) -> Operation:
        return self


@dataclass(frozen=True)
class Affine(Operation):
    """`scale * x + shift` with constants of the shape of x."""

    scale: Tensor
    shift: Tensor
    exact_interval = True

    def concrete(self, *inputs: Tensor) -> Tensor:
        return self.scale * inputs[0] + self.shift

    def _magnitude(self, box: Interval) -> Tensor:
        return self.scale.abs() * box.magnitude + self.shift.abs()

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        a, b = self.concrete(boxes[0].lower), self.concrete(boxes[0].upper)
        margin = rounding.gamma(2) * self._magnitude(boxes[0])
        return Interval(torch.minimum(a, b) - margin, torch.maximum(a, b) + margin)

    def backward(self, form: Form, site: Site) -> Pulled:
        def constants() -> Tensor:
            return torch.stack([self.scale, self.shift, self._magnitude(site.boxes[0])])

        seen = form.values(site.kept("constants", constants))
        constant = form.contract(seen[:, 1])
        if site.rounding.rigorous:
            size = form.like(form.coefficients.abs()).contract(seen[:, 2])
            constant = constant - site.rounding.gamma(form.coefficients[0, 0].numel()) * size
        inner = Form(form.coefficients * seen[:, :1], form.offsets, site.shapes[0])
        return Pulled((inner,), constant)

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        return (gradient.times(Interval(self.scale, self.scale), site.rounding.gamma(1)),)

    def linear_part(self) -> Operation:
        return replace(self, shift=torch.zeros_like(self.shift))


def affine(graph: Lowering, x: Value, scale: Tensor | float, shift: Tensor | float) -> Value:
    """`scale * x + shift` with numpy's broadcasting on both sides."""
    factors = [torch.as_tensor(c, dtype=torch.float64) for c in (scale, shift)]
    shape = tuple(torch.broadcast_shapes(graph.shape(x), *(f.shape for f in factors)))
    constants = [f.expand(shape).contiguous() for f in factors]
    return graph.emit(Affine(*constants), expand(graph, x, shape))


def _pair(graph: Lowering, x: Value, y: Value) -> tuple[Value, Value]:
    shape = tuple(torch.broadcast_shapes(graph.shape(x), graph.shape(y)))
    return expand(graph, x, shape), expand(graph, y, shape)


@lowers("aten.add.Tensor", "aten.add.Scalar")
def add(graph: Lowering, x: Operand, y: Operand, *, alpha: float = 1) -> Value:
    if not isinstance(x, Reference):
        return affine(graph, _reference(graph, y), alpha, x)
    if not isinstance(y, Reference):
        return affine(graph, x, 1.0, alpha * y)
    return graph.emit(Add(), *_pair(graph, x, y if alpha == 1 else affine(graph, y, alpha, 0.0)))


@lowers("aten.sub.Tensor", "aten.sub.Scalar")
def subtract(graph: Lowering, x: Operand, y: Operand, *, alpha: float = 1) -> Value:
    if isinstance(x, Reference) and isinstance(y, Reference) and alpha == 1:
        return graph.emit(Add(-1), *_pair(graph, x, y))
    return add(graph, x, y, alpha=-alpha)


@lowers("aten.rsub.Scalar", "aten.rsub.Tensor")
def _rsub(graph: Lowering, x: Operand, y: Operand) -> Value:
    return subtract(graph, y, x)


@lowers("aten.neg.default")
def _neg(graph: Lowering, x: Value) -> Value:
    return affine(graph, x, -1.0, 0.0)


@lowers("aten.mul.Tensor", "aten.mul.Scalar")
def _mul(graph: Lowering, x: Operand, y: Operand) -> Value:
    if not isinstance(x, Reference):
        return affine(graph, _reference(graph, y), x, 0.0)
    if not isinstance(y, Reference):
        return affine(graph, x, y, 0.0)
    if x == y:
        return graph.emit(Power(2), x)
    for plain, gate in ((x, y), (y, x)):
        if graph.made_by(gate) == (Sigmoid(), (plain.index,)):
            return graph.emit(Silu(), plain)
    return graph.emit(Product(), *_pair(graph, x, y))


@lowers("aten.div.Tensor", "aten.div.Scalar")
def _div(graph: Lowering, x: Operand, y: Operand) -> Value:
    if isinstance(y, Reference):
        graph.refuse("a division by a value that depends on the clip")
    divisor = torch.as_tensor(y, dtype=torch.float64)  # the inverse of a whole number would be float32
    if not bool(divisor.all()):
        graph.refuse("a division by zero", "mend the constant by which it divides")
    return affine(graph, _reference(graph, x), 1.0 / divisor, 0.0)


@lowers("aten.where.self")
def _where(graph: Lowering, condition: Value, x: Value, y: Value) -> Value:
    """The condition is constant, because true-or-false values of the clip are refused: each side times a mask."""
    if not isinstance(condition, Tensor):
        graph.refuse("a choice that depends on the clip")
    return add(graph, _masked(graph, condition, x), _masked(graph, ~condition, y))


def _masked(graph: Lowering, mask: Tensor, x: Value) -> Value:
    return affine(graph, x, mask.double(), 0.0) if isinstance(x, Reference) else torch.where(mask, x, 0.0)


def _reference(graph: Lowering, x: Operand) -> Reference:
    """One of the operands depends on the clip, otherwise the operation would have been folded."""
    if not isinstance(x, Reference):
        graph.refuse("arithmetic on constants alone")
    return x


@lowers("aten._native_batch_norm_legit_no_training.default")
def _batch_norm(
    graph: Lowering,
    x: Value,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    _: float,
    eps: float,
) -> tuple[Value, None, None]:
    one = torch.ones_like(mean)
    scale = (one if weight is None else weight) / (variance + eps).sqrt()
    shift = (0 * one if bias is None else bias) - mean * scale
    view = (1, -1) + (1,) * (graph.rank(x) - 2)
    return affine(graph, x, scale.view(view), shift.view(view)), None, None
