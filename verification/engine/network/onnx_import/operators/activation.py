"""Activation functions."""

import math
from functools import partial

import torch
from torch.nn import functional

from verification.engine.network.onnx_import.call import Call, Function, operator

_PLAIN: dict[str, Function] = {
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Softsign": functional.softsign,
    "Softplus": functional.softplus,
    "HardSwish": functional.hardswish,
    "Mish": functional.mish,
    "Erf": torch.erf,
}


@operator(*_PLAIN)
def plain(call: Call) -> Function:
    return _PLAIN[call.node.operator]


@operator("LeakyRelu")
def leaky_relu(call: Call) -> Function:
    return partial(functional.leaky_relu, negative_slope=call.attributes.get("alpha", 0.01))


@operator("PRelu")
def prelu(call: Call) -> Function:
    """A slope for each channel, or one for all, has a bound rule of its own."""
    slope, rank = call.shape(1), call.rank()
    by_channel = rank >= 2 and slope == (call.shape()[1], *[1] * (rank - 2))
    if by_channel or math.prod(slope) == 1:
        return lambda x, slope: functional.prelu(x, slope.reshape(-1))
    return lambda x, slope: torch.relu(x) - slope * torch.relu(-x)


@operator("Elu")
def elu(call: Call) -> Function:
    return partial(functional.elu, alpha=call.attributes.get("alpha", 1.0))


@operator("Selu")
def selu(call: Call) -> Function:
    alpha = call.attributes.get("alpha", 1.6732632423543772)
    gamma = call.attributes.get("gamma", 1.0507009873554805)
    return lambda x: gamma * functional.elu(x, alpha)


@operator("Celu")
def celu(call: Call) -> Function:
    return partial(functional.celu, alpha=call.attributes.get("alpha", 1.0))


@operator("Gelu")
def gelu(call: Call) -> Function:
    return partial(functional.gelu, approximate=call.attributes.get("approximate", "none"))


@operator("HardSigmoid")
def hard_sigmoid(call: Call) -> Function:
    alpha, beta = call.attributes.get("alpha", 0.2), call.attributes.get("beta", 0.5)
    return lambda x: (alpha * x + beta).clamp(0.0, 1.0)


@operator("ThresholdedRelu")
def thresholded_relu(call: Call) -> Function:
    alpha = call.attributes.get("alpha", 1.0)
    return lambda x: functional.threshold(x, alpha, 0.0)


@operator("Clip")
def clip(call: Call) -> Function:
    """Both ends are attributes up to version 10, then constants."""
    ends = []
    for name, position in (("min", 1), ("max", 2)):
        end = call.constant(position).item() if call.has(position) else call.attributes.get(name)
        ends.append(end)
    if ends == [None, None]:
        return lambda x, *_: x
    return lambda x, *_: x.clamp(*ends)


@operator("Softmax", "LogSoftmax")
def softmax(call: Call) -> Function:
    """Before version 13 over all axes from `axis` on together, which for a vector of logits is the same."""
    function = torch.softmax if call.node.operator == "Softmax" else torch.log_softmax
    axis = call.axis("axis", -1 if call.version >= 13 else 1)
    if call.version >= 13 or axis == call.rank() - 1:
        return lambda x: function(x, axis)
    return lambda x: function(x.flatten(axis), axis).reshape(x.shape)


@operator("Hardmax")
def hardmax(call: Call) -> Function:
    call.refuse("gives places of maxima, which have no bounds", "end the model with its logits")
