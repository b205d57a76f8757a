"""Largest elements and means of windows, or of whole axes."""

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.onnx_import.call import Call, Function, operator
from verification.engine.network.onnx_import.operators.padding import Windows, windows

_MAXIMUM = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_MEAN = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def _kernel(call: Call) -> tuple[int, ...]:
    kernel = call.numbers("kernel_shape", ())
    if len(kernel) not in _MAXIMUM or len(kernel) != call.rank() - 2:
        call.refuse(f"has {len(kernel)} spatial axes for an input of {call.rank()}", "use one, two or three")
    return kernel


@operator("MaxPool")
def max_pool(call: Call) -> Function:
    if len([name for name in call.node.outputs if name]) > 1:
        call.refuse("gives places of maxima, which have no bounds", "do without its second result")
    place, ceil = windows(call, _kernel(call)), bool(call.attributes.get("ceil_mode", 0))
    function = _MAXIMUM[len(place.kernel)]
    if place.even and all(2 * pad <= size for pad, size in zip(place.begin, place.kernel, strict=True)):
        return lambda x: function(x, place.kernel, place.strides, place.begin, place.dilations, ceil)
    if set(place.dilations) != {1} or any(
        pad >= size for pad, size in zip((*place.begin, *place.end), place.kernel * 2, strict=True)
    ):
        call.refuse("has a padding that torch has no counterpart of", "pad less, or without gaps between the elements")
    return lambda x: _begun(function(_repeated(x, place), place.kernel, place.strides, 0, 1, ceil), x, place)


def _begun(y: Tensor, x: Tensor, place: Windows) -> Tensor:
    """The results of a pool without the windows that begin in the padding at the end: these do not count."""
    for axis, (before, step) in enumerate(zip(place.begin, place.strides, strict=True), start=2):
        count = -(-(x.shape[axis] + before) // step)
        y = y.narrow(axis, 0, min(y.shape[axis], count))
    return y


def _repeated(x: Tensor, place: Windows) -> Tensor:
    """Padded with the elements at the border: windows that reach over it contain them anyway, so no maximum changes."""
    for axis, (before, after) in enumerate(zip(place.begin, place.end, strict=True), start=2):
        size = x.shape[axis]
        index = torch.arange(-before, size + after, device=x.device).clamp(0, size - 1)
        x = x.index_select(axis, index)
    return x


@operator("AveragePool")
def average_pool(call: Call) -> Function:
    place, ceil = windows(call, _kernel(call)), bool(call.attributes.get("ceil_mode", 0))
    if set(place.dilations) != {1}:
        call.refuse_option("dilations")
    function, whole = _MEAN[len(place.kernel)], bool(call.attributes.get("count_include_pad", 0))
    if place.even and all(2 * pad <= size for pad, size in zip(place.begin, place.kernel, strict=True)):
        return lambda x: function(x, place.kernel, place.strides, place.begin, ceil, whole)

    def padded(x: Tensor) -> Tensor:
        return _begun(function(functional.pad(x, place.for_pad), place.kernel, place.strides, 0, ceil), x, place)

    if whole:
        return padded
    # The mean over what is not padding: of how much of every window that is so is known.
    share = 1 / padded(torch.ones(1, 1, *call.shape()[2:]))
    call.inputs.append(share.to(call.sample().dtype))
    call.fixed.append(True)
    return lambda x, share: padded(x) * share


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(call: Call) -> Function:
    function = torch.mean if call.node.operator == "GlobalAveragePool" else torch.amax
    axes = tuple(range(2, call.rank()))
    return lambda x: function(x, axes, keepdim=True)


@operator("GlobalLpPool", "LpPool", "MaxRoiPool", "RoiAlign")
def other_pool(call: Call) -> Function:
    call.refuse("is a pooling without a bound rule", "use MaxPool or AveragePool")
