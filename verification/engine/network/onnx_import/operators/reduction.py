"""Sums, means, extremes over axes."""

from collections.abc import Callable

import torch
from torch import Tensor

from verification.engine.network.onnx_import.call import Call, Function, operator

Reduction = Callable[[Tensor, tuple[int, ...], bool], Tensor]

_REDUCTIONS: dict[str, Reduction] = {
    "ReduceSum": torch.sum,
    "ReduceMean": torch.mean,
    "ReduceMax": torch.amax,
    "ReduceMin": torch.amin,
    "ReduceSumSquare": lambda x, axes, keep: x.square().sum(axes, keep),
    "ReduceL1": lambda x, axes, keep: x.abs().sum(axes, keep),
    "ReduceL2": lambda x, axes, keep: x.square().sum(axes, keep).sqrt(),
    "ReduceLogSum": lambda x, axes, keep: x.sum(axes, keep).log(),
    "ReduceLogSumExp": torch.logsumexp,
}


@operator(*_REDUCTIONS)
def reduction(call: Call) -> Function:
    """The axes are an attribute in older versions, a constant in newer ones."""
    reduce = _REDUCTIONS[call.node.operator]
    keep = bool(call.attributes.get("keepdims", 1))
    axes = _axes(call)
    return lambda x, *_: reduce(x, axes, keep) if axes else x


@operator("ReduceProd")
def product(call: Call) -> Function:
    keep, axes = bool(call.attributes.get("keepdims", 1)), _axes(call)

    def apply(x: Tensor, *_: Tensor) -> Tensor:
        for axis in sorted(axes, reverse=True):
            x = x.prod(axis, keepdim=keep)
        return x

    return apply


@operator("CumSum")
def cumulative_sum(call: Call) -> Function:
    axis = int(call.constant(1).reshape(-1)[0])
    reverse, exclusive = bool(call.attributes.get("reverse", 0)), bool(call.attributes.get("exclusive", 0))

    def apply(x: Tensor, _: Tensor) -> Tensor:
        turned = x.flip(axis) if reverse else x
        total = turned.cumsum(axis) - turned if exclusive else turned.cumsum(axis)
        return total.flip(axis) if reverse else total

    return apply


def _axes(call: Call) -> tuple[int, ...]:
    rank = call.rank()
    named = call.whole_numbers(1) if call.has(1) else call.numbers("axes", ())
    if not named:
        return () if call.attributes.get("noop_with_empty_axes", 0) else tuple(range(rank))
    if not all(-rank <= axis < rank for axis in named):
        call.refuse(f"names the axes {list(named)} of a tensor of {rank} axes", "export the model again")
    return tuple(axis % rank for axis in named)
