"""Values that do not depend on the clip, where they meet values that do."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.base import Operation, Pulled, Site
from verification.engine.relaxation import Form, Interval, Rounding


@dataclass(frozen=True)
class Constant(Operation):
    """`value`, without inputs."""

    value: Tensor
    exact_interval = True

    def concrete(self, *inputs: Tensor) -> Tensor:
        return self.value

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        return Interval(self.value, self.value)

    def backward(self, form: Form, site: Site) -> Pulled:
        seen = form.values(self.value.unsqueeze(0))[:, 0]
        size = form.like(form.coefficients.abs()).contract(seen.abs())
        margin = site.rounding.gamma(form.coefficients[0, 0].numel()) * size
        return Pulled((), form.contract(seen) - margin)

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        return ()

    def linear_part(self) -> Operation:
        return replace(self, value=torch.zeros_like(self.value))


def constant(graph: Lowering, value: Value) -> Value:
    """A node for a constant; a value of the clip stays as it is."""
    return graph.emit(Constant(value.double().contiguous())) if isinstance(value, Tensor) else value


@lowers("aten.full_like.default")
def _full_like(graph: Lowering, x: Value, number: float, **_: object) -> Value:
    return torch.full(graph.shape(x), float(number), dtype=torch.float64)


@lowers("aten.zeros_like.default")
def _zeros_like(graph: Lowering, x: Value, **_: object) -> Value:
    return _full_like(graph, x, 0.0)


@lowers("aten.ones_like.default")
def _ones_like(graph: Lowering, x: Value, **_: object) -> Value:
    return _full_like(graph, x, 1.0)
