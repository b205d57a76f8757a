"""Normalisations with statistics of training, and those of a layer."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.onnx_import.call import Call, Function, operator


@operator("BatchNormalization")
def batch_normalization(call: Call) -> Function:
    if call.attributes.get("training_mode", 0):
        call.refuse("normalises with the statistics of the clip", "export the model in eval mode")
    epsilon = call.attributes.get("epsilon", 1e-5)
    return lambda x, scale, bias, mean, variance: functional.batch_norm(
        x, mean, variance, scale, bias, False, 0.0, epsilon
    )


@operator("InstanceNormalization")
def instance_normalization(call: Call) -> Function:
    epsilon = call.attributes.get("epsilon", 1e-5)
    return lambda x, scale, bias: functional.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


@operator("GroupNormalization")
def group_normalization(call: Call) -> Function:
    """Before version 21 scale and bias are one for each group, then one for each channel."""
    groups, epsilon = int(call.attributes["num_groups"]), call.attributes.get("epsilon", 1e-5)
    channels = call.shape()[1]

    def apply(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        if scale.shape[0] != channels:
            scale, bias = (value.repeat_interleave(channels // groups) for value in (scale, bias))
        return functional.group_norm(x, groups, scale, bias, epsilon)

    return apply


@operator("LayerNormalization")
def layer_normalization(call: Call) -> Function:
    epsilon, shape = call.attributes.get("epsilon", 1e-5), call.shape()[call.axis("axis", -1) :]
    return lambda x, scale, bias=None: functional.layer_norm(x, shape, scale, bias, epsilon)


@operator("LpNormalization")
def lp_normalization(call: Call) -> Function:
    order, axis = int(call.attributes.get("p", 2)), call.axis("axis", -1)
    return lambda x: x / x.norm(order, axis, keepdim=True)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(call: Call) -> Function:
    axes = call.numbers("axes", (0, 2, 3))
    return lambda x: (x - x.mean(axes, keepdim=True)) / (x.var(axes, correction=0, keepdim=True) + 1e-9).sqrt()


@operator("LRN")
def local_response(call: Call) -> Function:
    size = int(call.attributes["size"])
    alpha, beta, bias = (call.attributes.get(n, d) for n, d in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))

    def apply(x: Tensor) -> Tensor:
        squares = functional.pad(x.square().movedim(1, -1), (math.floor((size - 1) / 2), math.ceil((size - 1) / 2)))
        return x / torch.pow(bias + alpha / size * squares.unfold(-1, size, 1).sum(-1).movedim(-1, 1), beta)

    return apply
