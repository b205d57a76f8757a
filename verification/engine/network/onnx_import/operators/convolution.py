"""Convolutions and transposed convolutions over one, two or three axes."""

from torch import Tensor
from torch.nn import functional

from verification.engine.network.onnx_import.call import Call, Function, operator
from verification.engine.network.onnx_import.operators.padding import windows

_FORWARD = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


@operator("Conv")
def convolution(call: Call) -> Function:
    kernel = call.shape(1)[2:]
    function = _FORWARD.get(len(kernel)) or call.refuse(f"has {len(kernel)} spatial axes", "use one, two or three")
    place, groups = windows(call, kernel), int(call.attributes.get("group", 1))

    def apply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if place.even:
            return function(x, weight, bias, place.strides, place.begin, place.dilations, groups)
        padded = functional.pad(x, place.for_pad)
        return function(padded, weight, bias, place.strides, 0, place.dilations, groups)

    return apply


@operator("ConvTranspose")
def transposed_convolution(call: Call) -> Function:
    """`pads` are cut off what comes out; `output_shape` says how large that is to be instead."""
    kernel = call.shape(1)[2:]
    function = _TRANSPOSED.get(len(kernel)) or call.refuse(f"has {len(kernel)} spatial axes", "use one, two or three")
    place, groups = windows(call, kernel), int(call.attributes.get("group", 1))
    more = call.numbers("output_padding", [0] * len(kernel))
    wanted = call.numbers("output_shape", ())
    if call.attributes.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER") and not wanted:
        wanted = tuple(size * step for size, step in zip(call.shape()[2:], place.strides, strict=True))
    begin, end = place.begin, place.end
    if wanted:
        lengths = zip(call.shape()[2:], place.strides, kernel, place.dilations, more, strict=True)
        full = [(size - 1) * step + (length - 1) * gap + 1 + extra for size, step, length, gap, extra in lengths]
        total = [size - target for size, target in zip(full, wanted, strict=True)]
        if min(total) < 0:
            call.refuse(f"is to give {list(wanted)} elements, more than its windows reach", "use pads instead")
        smaller, larger = tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
        begin, end = (larger, smaller) if call.attributes.get("auto_pad") == "SAME_LOWER" else (smaller, larger)

    def apply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if begin == end:
            return function(x, weight, bias, place.strides, begin, more, groups, place.dilations)
        whole = function(x, weight, bias, place.strides, 0, more, groups, place.dilations)
        for axis, (first, last) in enumerate(zip(begin, end, strict=True), start=2):
            whole = whole.narrow(axis, first, whole.shape[axis] - first - last)
        return whole

    return apply
