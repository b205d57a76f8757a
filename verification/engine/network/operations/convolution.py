"""Convolution over one, two or three axes."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.operations.base import Operation, Pulled, Site
from verification.engine.relaxation import Form, Interval, Rounding
from verification.engine.relaxation.transpose import pull_affine

CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSE = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


@dataclass(frozen=True)
class Convolution(Operation):
    """`weight` (out, in / groups, *kernel), `bias` (out,); zero padding."""

    weight: Tensor
    bias: Tensor
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def rank(self) -> int:
        return len(self.stride)

    def _apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve = CONVOLVE[self.rank]
        return convolve(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def concrete(self, *inputs: Tensor) -> Tensor:
        return self._apply(inputs[0], self.weight, self.bias)

    def _magnitude(self, box: Interval) -> Tensor:
        """`|W| |x| + |b|`: what the rounding error of the convolution is relative to."""
        return self._apply(box.magnitude, self.weight.abs(), self.bias.abs())

    def _terms(self) -> int:
        return math.prod(self.weight.shape[1:])

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        box = boxes[0]
        centre = (box.lower + box.upper) / 2
        radius = torch.maximum(box.upper - centre, centre - box.lower)
        middle, reach = self.concrete(centre), self._apply(radius, self.weight.abs(), None)
        if rounding.rigorous:
            reach = reach + rounding.gamma(self._terms()) * 3 * self._magnitude(box)
        return Interval(middle - reach, middle + reach)

    def _pull(self, form: Form) -> tuple[Tensor, Tensor]:
        """The transpose applied to windows one by one, (windows, in, ...), and where they begin along the spatial axes."""
        flat = form.coefficients.reshape(-1, *form.coefficients.shape[3:])
        pulled = TRANSPOSE[self.rank](flat, self.weight, None, self.stride, 0, 0, self.groups, self.dilation)
        return pulled, form.offsets[:, 2:] * torch.tensor(self.stride) - torch.tensor(self.padding)

    def backward(self, form: Form, site: Site) -> Pulled:
        form = form.full(1)
        a = form.coefficients
        pulled, starts = self._pull(form)
        offsets = torch.cat([form.offsets[:, :1], torch.zeros_like(form.offsets[:, :1]), starts], 1)
        coefficients = pulled.view(-1, a.shape[1], form.window[0], *pulled.shape[1:])
        inner = Form(coefficients, offsets, site.shapes[0]).clipped()
        constant = torch.einsum("pkc,c->pk", a.sum((2, *range(4, a.dim()))), self.bias)
        if site.rounding.rigorous:
            if "magnitude" not in site.memory:
                site.memory["magnitude"] = self._magnitude(site.boxes[0]).unsqueeze(0)
            size = form.like(a.abs()).contract(form.values(site.memory["magnitude"])[:, 0])
            # Pulling back sums over outputs, adding the constant over the whole window: take the longer sum.
            constant = constant - site.rounding.gamma(a[0, 0].numel() + self._terms()) * size
        return Pulled((inner,), constant)

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        size = self.weight.abs()
        pulled = pull_affine(
            self.concrete, lambda x: self._apply(x, size, None), site.shapes[0], gradient, site.rounding
        )
        return (pulled,)

    def linear_part(self) -> Operation:
        return replace(self, bias=torch.zeros_like(self.bias))
