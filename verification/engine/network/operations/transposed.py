"""Transposed convolution, and what torch.export makes of either kind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Reference, Value, lowers, spread
from verification.engine.network.operations.convolution import CONVOLVE, TRANSPOSE, Convolution
from verification.engine.relaxation import Form


@dataclass(frozen=True)
class TransposedConvolution(Convolution):
    """`weight` (in, out / groups, *kernel): input i adds its kernel to the outputs `i stride - padding + k dilation`.

    `extra` rows at the end, torch's output_padding, that perhaps no input reaches: the bias alone is there.
    """

    extra: tuple[int, ...]

    def _apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        transpose = TRANSPOSE[self.rank]
        return transpose(x, weight, bias, self.stride, self.padding, self.extra, self.groups, self.dilation)

    @property
    def terms(self) -> int:
        return math.prod(self.weight.shape) // self.weight.shape[1] // self.groups

    def _is_narrow(self, form: Form) -> bool:
        return False

    def _pull(self, form: Form) -> tuple[Tensor, Tensor]:
        """Its transpose is a convolution, of windows that begin at the first kernel of an input."""
        starts = torch.zeros((form.positions, self.rank), dtype=torch.int64)
        for axis, (step, border, spacing) in enumerate(zip(self.stride, self.padding, self.dilation, strict=True)):
            reach = (self.weight.shape[axis + 2] - 1) * spacing
            offset = form.offsets[:, axis + 2] + border
            first = (offset - reach).div(step, rounding_mode="floor")
            last = (offset + form.window[axis + 2] - 1).div(step, rounding_mode="floor")
            length = int((last - first).max()) * step + reach + 1
            # What this drops lies beyond the last kernel that touches the window, where no input counts.
            form = form.placed(axis + 2, first * step - border, length)
            starts[:, axis] = first
        flat = form.coefficients.reshape(-1, *form.coefficients.shape[3:])
        convolve = CONVOLVE[self.rank]
        return convolve(flat, self.weight, None, self.stride, 0, self.dilation, self.groups), starts


@lowers("aten.convolution.default")
def _convolution(
    graph: Lowering,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Value:
    if not isinstance(weight, Tensor) or isinstance(bias, Reference) or isinstance(x, Tensor):
        graph.refuse("a convolution whose weights depend on the clip")
    rank = weight.dim() - 2
    if graph.rank(x) != rank + 2:
        graph.refuse("a convolution without a batch axis")
    count = weight.shape[1] * groups if transposed else weight.shape[0]
    bias = weight.new_zeros(count) if bias is None else bias
    geometry = (spread(stride, rank), spread(padding, rank), spread(dilation, rank))
    if transposed:
        return graph.emit(TransposedConvolution(weight, bias, *geometry, groups, spread(output_padding, rank)), x)
    return graph.emit(Convolution(weight, bias, *geometry, groups), x)
