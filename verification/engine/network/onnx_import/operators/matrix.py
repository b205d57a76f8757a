"""Products of matrices."""

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.onnx_import.call import Call, Function, operator


@operator("Gemm")
def gemm(call: Call) -> Function:
    """`alpha A B + beta C`; with constant B and C a linear layer."""
    alpha, beta = call.attributes.get("alpha", 1.0), call.attributes.get("beta", 1.0)
    turned = bool(call.attributes.get("transA", 0)), bool(call.attributes.get("transB", 0))
    if call.fixed[1] and not call.fixed[0] and not turned[0]:
        weight = call.sample(1) if turned[1] else call.sample(1).T
        call.inputs[1] = (alpha * weight).contiguous()
        if call.has(2) and call.fixed[2] and call.sample(2).numel() in (1, weight.shape[0]):
            call.inputs[2] = (beta * call.sample(2)).reshape(-1).expand(weight.shape[0]).contiguous()
            return functional.linear
        if not call.has(2):
            return lambda x, w, *_: functional.linear(x, w)

    def apply(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        product = alpha * ((a.T if turned[0] else a) @ (b.T if turned[1] else b))
        return product if c is None else product + beta * c

    if call.fixed[1] and not call.fixed[0] and not turned[0]:
        return lambda a, w, c: functional.linear(a, w) + beta * c
    return apply


@operator("MatMul")
def matmul(call: Call) -> Function:
    return torch.matmul


@operator("Einsum")
def einsum(call: Call) -> Function:
    equation = call.attributes["equation"]
    return lambda *values: torch.einsum(equation, *values)
