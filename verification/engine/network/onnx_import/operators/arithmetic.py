"""Element by element: sums, products, powers, comparisons, choices."""

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from verification.engine.network.onnx_import.call import Call, Function, operator

_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs,
    "Neg": torch.neg,
    "Exp": torch.exp,
    "Log": torch.log,
    "Sqrt": torch.sqrt,
    "Reciprocal": torch.reciprocal,
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Round": torch.round,
    "Sign": torch.sign,
    "Not": torch.logical_not,
    "IsNaN": torch.isnan,
    "Identity": lambda x: x,
}
_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
}
_MANY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"Sum": torch.add, "Max": torch.maximum, "Min": torch.minimum}


@operator(*_UNARY, *_BINARY)
def plain(call: Call) -> Function:
    return (_UNARY | _BINARY)[call.node.operator]


@operator(*_MANY)
def many(call: Call) -> Function:
    function = _MANY[call.node.operator]
    return lambda *values: reduce(function, values)


@operator("Mean")
def mean(call: Call) -> Function:
    return lambda *values: reduce(torch.add, values) / len(values)


@operator("Div")
def divide(call: Call) -> Function:
    """Whole numbers are divided towards zero."""
    mode = None if call.sample(0).is_floating_point() else "trunc"
    return lambda x, y: torch.div(x, y, rounding_mode=mode)


@operator("Mod")
def remainder(call: Call) -> Function:
    return torch.fmod if call.attributes.get("fmod", 0) else torch.remainder


@operator("Pow")
def power(call: Call) -> Function:
    """The exponent as a number where it is one, since whole exponents have rules of their own."""
    if call.fixed[1] and call.sample(1).numel() == 1 and not call.fixed[0]:
        number = call.sample(1).item()
        exponent = int(number) if number == int(number) else number
        return lambda x, _: x.pow(exponent)
    return lambda x, y: torch.pow(x, y).to(x.dtype)


@operator("Where")
def where(call: Call) -> Function:
    return torch.where


@operator("Dropout")
def dropout(call: Call) -> Function:
    """Nothing is dropped when a model is used."""
    if call.has(2) and bool(call.constant(2).any()):
        call.refuse("drops values at random", "export the model in eval mode")
    return lambda x, *_: x


@operator("ArgMax", "ArgMin", "TopK", "NonMaxSuppression")
def places(call: Call) -> Function:
    call.refuse("gives places of maxima, which have no bounds", "end the model with its logits")


@operator("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
def chance(call: Call) -> Function:
    call.refuse("gives random numbers", "export the model in eval mode")
