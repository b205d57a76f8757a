"""Convolution over one, two or three axes."""

import itertools
import math
from dataclasses import dataclass, replace
from types import EllipsisType

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.operations.base import Operation, Pulled, Site
from verification.engine.relaxation import Form, Interval, Rounding
from verification.engine.relaxation.transpose import pull_affine

CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSE = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}

#: Bytes that torch may use at a time to unfold the input of a convolution in float64, frame by frame.
_MOST_UNFOLDED = 1 << 28
#: Windows of one channel with no more elements than this are pulled back kernel by kernel.
_SMALL = 64


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
        convolve, options = CONVOLVE[self.rank], (self.stride, self.padding, self.dilation, self.groups)
        together = _MOST_UNFOLDED // max(self._unfolded(x) * x.element_size(), 1)
        if together >= len(x) or x.dtype != torch.float64 or x.is_cuda:
            return convolve(x, weight, bias, *options)
        return torch.cat([convolve(part, weight, bias, *options) for part in x.split(max(1, together))])

    def _unfolded(self, x: Tensor) -> int:
        """Elements of the matrix that torch makes of one element of the batch, where it has no kernel for a type."""
        sizes = zip(x.shape[2:], self.weight.shape[2:], self.stride, self.padding, self.dilation, strict=True)
        places = math.prod((n + 2 * around - gap * (k - 1) - 1) // step + 1 for n, k, step, around, gap in sizes)
        return x.shape[1] * math.prod(self.weight.shape[2:]) * places

    def concrete(self, *inputs: Tensor) -> Tensor:
        return self._apply(inputs[0], self.weight, self.bias)

    def magnitude(self, box: Interval) -> Tensor:
        """`|W| |x| + |b|`: what the rounding error of the convolution is relative to."""
        return self._apply(box.magnitude, self.weight.abs(), self.bias.abs())

    @property
    def terms(self) -> int:
        """Products that one element of the output adds up."""
        return math.prod(self.weight.shape[1:])

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        box = boxes[0]
        middle, reach = self.concrete(box.centre), self._apply(box.radius, self.weight.abs(), None)
        if rounding.rigorous:
            reach = reach + rounding.gamma(self.terms) * 3 * self.magnitude(box)
        return Interval(middle - reach, middle + reach)

    def _pull(self, form: Form) -> tuple[Tensor, Tensor]:
        """The transpose applied to windows one by one, (windows, in, ...), and where they begin along the spatial axes."""
        flat = form.coefficients.reshape(-1, *form.coefficients.shape[3:])
        pulled = TRANSPOSE[self.rank](flat, self.weight, None, self.stride, 0, 0, self.groups, self.dilation)
        return pulled, form.offsets[:, 2:] * torch.tensor(self.stride) - torch.tensor(self.padding)

    def _is_narrow(self, form: Form) -> bool:
        """Whether windows are of one channel and so small that going through their elements is cheaper than all channels."""
        return form.window[1] == 1 < form.shape[1] and self.groups == 1 and math.prod(form.window[2:]) <= _SMALL

    def _channels(self, form: Form) -> Tensor:
        """(P,): the channel of every window of one channel; any where it lies outside, because its coefficients are zero."""
        return form.offsets[:, 1].clamp(0, form.shape[1] - 1).to(self.weight.device)

    def _pull_channel(self, form: Form) -> tuple[Tensor, Tensor]:
        """The same for windows of one channel each, as (P, K, frames, in, ...): its kernel, moved to every element."""
        a, kernels = form.coefficients, self.weight[self._channels(form)]
        kernels = kernels.view(kernels.shape[0], 1, 1, *kernels.shape[1:])
        geometry = list(zip(form.window[2:], self.stride, self.weight.shape[2:], self.dilation, strict=True))
        size = [(n - 1) * step + (k - 1) * gap + 1 for n, step, k, gap in geometry]
        pulled = a.new_zeros((form.positions, *a.shape[1:3], self.weight.shape[1], *size))
        for number, element in enumerate(itertools.product(*(range(n) for n in form.window[2:]))):
            place = [
                slice(first * step, first * step + (k - 1) * gap + 1, gap)
                for first, (_, step, k, gap) in zip(element, geometry, strict=True)
            ]
            index: tuple[EllipsisType | slice, ...] = (..., *place)
            scale = a.flatten(4)[..., number]
            pulled[index] += scale.view(*scale.shape, *[1] * self.rank) * kernels
        return pulled, form.offsets[:, 2:] * torch.tensor(self.stride) - torch.tensor(self.padding)

    def backward(self, form: Form, site: Site) -> Pulled:
        if self._is_narrow(form):
            pulled, starts = self._pull_channel(form)
            bias = self.bias[self._channels(form)].unsqueeze(1)
            constant = form.coefficients.flatten(2).sum(2) * bias
        else:
            form = form.full(1)
            pulled, starts = self._pull(form)
            pulled = pulled.view(-1, form.coefficients.shape[1], form.window[0], *pulled.shape[1:])
            sums = form.coefficients.sum((2, *range(4, form.coefficients.dim())))
            constant = torch.einsum("pkc,c->pk", sums, self.bias)
        a = form.coefficients
        offsets = torch.cat([form.offsets[:, :1], torch.zeros_like(form.offsets[:, :1]), starts], 1)
        inner = Form(pulled, offsets, site.shapes[0]).clipped()
        if site.rounding.rigorous:
            magnitude = site.kept("magnitude", lambda: self.magnitude(site.boxes[0]).unsqueeze(0))
            size = form.like(a.abs()).contract(form.values(magnitude)[:, 0])
            # Pulling back sums over outputs, adding the constant over the whole window: take the longer sum.
            constant = constant - site.rounding.gamma(a[0, 0].numel() + self.terms) * size
        return Pulled((inner,), constant)

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        size = self.weight.abs()
        pulled = pull_affine(
            self.concrete, lambda x: self._apply(x, size, None), site.shapes[0], gradient, site.rounding
        )
        return (pulled,)

    def linear_part(self) -> Operation:
        return replace(self, bias=torch.zeros_like(self.bias))
