"""Shapes, and moving elements about."""

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.onnx_import.call import Call, Function, operator

_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
_END = 2**62  # exporters write the largest whole numbers for "until the end"


@operator("Shape")
def shape(call: Call) -> Function:
    """Since version 15 of a range of axes."""
    found = call.shape()
    part = found[slice(call.attributes.get("start", 0), call.attributes.get("end"))]
    return lambda x: torch.tensor(part, dtype=torch.int64, device=x.device)


@operator("Size")
def size(call: Call) -> Function:
    return lambda x: torch.tensor(x.numel(), device=x.device)


@operator("Transpose")
def transpose(call: Call) -> Function:
    order = call.numbers("perm", range(call.rank())[::-1])
    return lambda x: x.permute(order)


@operator("Reshape")
def reshape(call: Call) -> Function:
    """Zero stands for the size that the axis has."""
    wanted, before = list(call.whole_numbers(1)), call.shape()
    if not call.attributes.get("allowzero", 0):
        wanted = [before[axis] if length == 0 else length for axis, length in enumerate(wanted)]
    return lambda x, _: x.reshape(wanted)


@operator("Flatten")
def flatten(call: Call) -> Function:
    """Into two axes, divided at `axis`."""
    axis = int(call.attributes.get("axis", 1))
    axis += call.rank() if axis < 0 else 0
    rows = 1
    for length in call.shape()[:axis]:
        rows *= length
    return lambda x: x.reshape(rows, -1)


@operator("Squeeze")
def squeeze(call: Call) -> Function:
    axes = call.whole_numbers(1) if call.has(1) else call.numbers("axes", ())
    chosen = tuple(axes) or tuple(axis for axis, length in enumerate(call.shape()) if length == 1)
    return lambda x, *_: x.squeeze(chosen)


@operator("Unsqueeze")
def unsqueeze(call: Call) -> Function:
    axes = call.whole_numbers(1) if call.has(1) else call.numbers("axes", ())
    rank = call.rank() + len(axes)
    places = sorted(axis % rank for axis in axes)

    def apply(x: Tensor, *_: Tensor) -> Tensor:
        for axis in places:
            x = x.unsqueeze(axis)
        return x

    return apply


@operator("Concat")
def concat(call: Call) -> Function:
    axis = call.axis("axis", 0)
    return lambda *values: torch.cat(values, axis)


@operator("Split")
def split(call: Call) -> Function:
    """Into parts of given sizes, or into as many equal ones as there are results; the last may be smaller."""
    axis = call.axis("axis", 0)
    length, count = call.shape()[axis], len(call.node.outputs)
    sizes = list(call.whole_numbers(1)) if call.has(1) else list(call.numbers("split", ()))
    if not sizes:
        each = -(-length // count)
        sizes = [max(min(each, length - i * each), 0) for i in range(count)]
    return lambda x, *_: x.split(sizes, axis)


@operator("Slice")
def slice_(call: Call) -> Function:
    """Before version 10 the ranges are attributes."""
    if call.version < 10:
        starts, ends = call.numbers("starts", ()), call.numbers("ends", ())
        axes, steps = call.numbers("axes", range(len(starts))), (1,) * len(starts)
    else:
        starts, ends = call.whole_numbers(1), call.whole_numbers(2)
        axes = call.whole_numbers(3) if call.has(3) else tuple(range(len(starts)))
        steps = call.whole_numbers(4) if call.has(4) else (1,) * len(starts)
    ranges = [
        (axis % call.rank(), _range(call, call.shape()[axis], start, end, step))
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    ]

    def apply(x: Tensor, *_: Tensor) -> Tensor:
        for axis, chosen in ranges:
            if chosen.step > 0:
                index = [slice(None)] * x.dim()
                index[axis] = slice(chosen.start, chosen.stop, chosen.step)
                x = x[tuple(index)]
            elif list(chosen) == list(range(x.shape[axis]))[::-1]:
                x = x.flip(axis)
            else:
                x = x.index_select(axis, torch.tensor(list(chosen), dtype=torch.int64, device=x.device))
        return x

    return apply


def _range(call: Call, length: int, start: int, end: int, step: int) -> range:
    if step == 0:
        call.refuse("slices with a step of zero", "export the model again")
    return range(*slice(start, None if abs(end) >= _END and end * step > 0 else end, step).indices(length))


@operator("Gather")
def gather(call: Call) -> Function:
    """By a constant index; negative ones count from the end."""
    axis = call.axis("axis", 0)
    index, length = call.constant(1), call.shape()[axis]
    if index.is_floating_point() or bool(((index < -length) | (index >= length)).any()):
        call.refuse(f"takes places that an axis of length {length} does not have", "check the number of frames")
    chosen = (index % max(length, 1)).to(torch.int64)
    if chosen.dim() == 0:
        number = int(chosen)
        return lambda x, _: x.select(axis, number)
    call.inputs[1] = chosen

    def apply(x: Tensor, places: Tensor) -> Tensor:
        picked = x.index_select(axis, places.reshape(-1))
        return picked.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])

    return apply


@operator("GatherElements")
def gather_elements(call: Call) -> Function:
    axis = call.axis("axis", 0)
    call.inputs[1] = call.constant(1) % max(call.shape()[axis], 1)
    return lambda x, index: x.gather(axis, index)


@operator("Expand")
def expand(call: Call) -> Function:
    wanted = torch.broadcast_shapes(call.shape(), call.whole_numbers(1))
    return lambda x, _: x.expand(wanted)


@operator("Tile")
def tile(call: Call) -> Function:
    repeats = call.whole_numbers(1)
    return lambda x, _: x.repeat(repeats)


@operator("Pad")
def pad(call: Call) -> Function:
    """Before version 11 sizes and value are attributes; negative sizes cut off."""
    mode = call.attributes.get("mode", "constant")
    if mode not in _PAD_MODES:
        call.refuse_option("mode")
    sizes = call.whole_numbers(1) if call.has(1) else call.numbers("pads", ())
    value = float(call.constant(2)) if call.has(2) else float(call.attributes.get("value", 0.0))
    rank = call.rank()
    axes = [axis % rank for axis in call.whole_numbers(3)] if call.has(3) else list(range(rank))
    if len(sizes) != 2 * len(axes):
        call.refuse(f"has {len(sizes)} sizes for {len(axes)} axes", "export the model again")
    ends = [(0, 0)] * rank
    for i, axis in enumerate(axes):
        ends[axis] = (sizes[i], sizes[i + len(axes)])
    while ends and ends[0] == (0, 0) and len(ends) > 1:
        ends = ends[1:]
    flat = [length for pair in reversed(ends) for length in pair]
    if mode == "constant":
        return lambda x, *_: functional.pad(x, flat, value=value)
    return lambda x, *_: functional.pad(x, flat, mode=_PAD_MODES[mode])


@operator("DepthToSpace")
def depth_to_space(call: Call) -> Function:
    """DCR (the default) takes the block first, CRD, torch's pixel shuffle, the channel."""
    block, mode = int(call.attributes["blocksize"]), call.attributes.get("mode", "DCR")
    if mode == "CRD":
        return lambda x: functional.pixel_shuffle(x, block)
    n, c, h, w = call.shape()
    return lambda x: (
        x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, -1, h * block, w * block)
    )


@operator("SpaceToDepth")
def space_to_depth(call: Call) -> Function:
    block = int(call.attributes["blocksize"])
    n, c, h, w = call.shape()
    return lambda x: (
        x.reshape(n, c, h // block, block, w // block, block)
        .permute(0, 3, 5, 1, 2, 4)
        .reshape(n, -1, h // block, w // block)
    )


@operator("Trilu")
def trilu(call: Call) -> Function:
    offset = int(call.constant(1)) if call.has(1) else 0
    function = torch.triu if call.attributes.get("upper", 1) else torch.tril
    return lambda x, *_: function(x, offset)
