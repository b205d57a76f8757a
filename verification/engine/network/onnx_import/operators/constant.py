"""Constants, and changes of type."""

import torch
from onnx import TensorProto
from torch import Tensor

from verification.engine.network.onnx_import.call import Call, Function, operator
from verification.engine.network.onnx_import.model import type_name

_NUMBERS = {
    "value_float": torch.float32,
    "value_floats": torch.float32,
    "value_int": torch.int64,
    "value_ints": torch.int64,
}
_TYPES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.INT8: torch.int8,
    TensorProto.BOOL: torch.bool,
}


@operator("Constant")
def constant(call: Call) -> Function:
    value = call.attributes.get("value")
    for name, kind in _NUMBERS.items():
        if name in call.attributes:
            value = torch.tensor(call.attributes[name], dtype=kind)
    if not isinstance(value, Tensor):
        call.refuse("holds something else than numbers", "export the model again")
    return lambda: value


@operator("ConstantOfShape")
def constant_of_shape(call: Call) -> Function:
    shape, value = call.whole_numbers(0), call.attributes.get("value", torch.zeros(1))
    return lambda given: torch.full(shape, value.reshape(-1)[0].item(), dtype=value.dtype, device=given.device)


@operator("Cast")
def cast(call: Call) -> Function:
    kind = _kind(call, call.attributes.get("to"))
    return lambda x: x.to(kind)


@operator("CastLike")
def cast_like(call: Call) -> Function:
    kind = call.sample(1).dtype
    return lambda x, _: x.to(kind)


@operator("Range")
def number_range(call: Call) -> Function:
    start, limit, step = (call.constant(i).item() for i in range(3))
    kind = call.sample(0).dtype
    return lambda *given: torch.arange(start, limit, step, dtype=kind, device=given[0].device)


@operator("EyeLike")
def eye_like(call: Call) -> Function:
    rows, columns = call.shape()
    kind = _kind(call, call.attributes["dtype"]) if "dtype" in call.attributes else call.sample(0).dtype
    offset = int(call.attributes.get("k", 0))
    return lambda x: torch.ones(rows, columns, dtype=kind, device=x.device).triu(offset).tril(offset)


@operator("NonZero")
def non_zero(call: Call) -> Function:
    call.constant(0)
    return lambda x: x.nonzero().T


def _kind(call: Call, number: int | None) -> torch.dtype:
    if number not in _TYPES:
        call.refuse(f"gives values of the type {type_name(number)}", "export the model in float32")
    return _TYPES[number]
