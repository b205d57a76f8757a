"""The ONNX operators that are read, a family a file. A new one is a function in one of them."""

from verification.engine.network.onnx_import.call import OPERATORS
from verification.engine.network.onnx_import.operators import (
    activation,
    arithmetic,
    constant,
    convolution,
    matrix,
    normalisation,
    pooling,
    recurrent,
    reduction,
    resizing,
    shape,
)

__all__ = [
    "OPERATORS",
    "activation",
    "arithmetic",
    "constant",
    "convolution",
    "matrix",
    "normalisation",
    "pooling",
    "recurrent",
    "reduction",
    "resizing",
    "shape",
]
