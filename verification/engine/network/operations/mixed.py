"""What max-pooling makes of differences: a mean of those of its elements, with weights that nobody knows."""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.operations.base import Operation, Pulled, Site
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.relaxation import Form, Interval, Rounding


@dataclass(frozen=True)
class Mixed(Operation):
    """`sum_i w_i u_i` over the windows of `pool`, with any `w_i >= 0` of sum 1 for the elements that are `possible`.

    Bounded by constants only: the least and the greatest possible element.
    """

    pool: MaxPool
    possible: Tensor

    def concrete(self, *inputs: Tensor) -> Tensor:
        """The value halfway between the least and the greatest possible element."""
        return self.pool.extremes(Interval(inputs[0], inputs[0]), self.possible).centre

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        return self.pool.extremes(boxes[0], self.possible)

    def backward(self, form: Form, site: Site) -> Pulled:
        def ends() -> Tensor:
            box = self.interval(site.rounding, *site.boxes)
            return torch.stack([box.lower, box.upper])

        seen = form.values(site.kept("ends", ends))
        positive, negative = form.like(form.coefficients.clamp(min=0)), form.like(form.coefficients.clamp(max=0))
        constant = positive.contract(seen[:, 0]) + negative.contract(seen[:, 1])
        if site.rounding.rigorous:
            size = form.like(form.coefficients.abs()).contract(seen.abs().amax(1))
            constant = constant - site.rounding.gamma(form.coefficients[0, 0].numel()) * size
        return Pulled((None,), constant)
