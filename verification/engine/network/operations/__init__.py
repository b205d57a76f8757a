"""The operations that the engine can bound. A new one is one file here and its name in the import below.

Importing this package fills `LOWERINGS`, which is why it is taken from here.
"""

from verification.engine.network.lowering import LOWERINGS
from verification.engine.network.operations import (
    arithmetic,
    average_pool,
    clamp,
    constant,
    convolution,
    exponential,
    gated,
    gather,
    kinked,
    linear,
    max_pool,
    maximum,
    padding,
    piecewise,
    power,
    product,
    reduction,
    refused,
    relu,
    shape,
    sigmoid,
    slicing,
    transposed,
)
from verification.engine.network.operations.base import Elementwise, Operation, Pulled, Site

__all__ = [
    "LOWERINGS",
    "Elementwise",
    "Operation",
    "Pulled",
    "Site",
    "arithmetic",
    "average_pool",
    "clamp",
    "constant",
    "convolution",
    "exponential",
    "gated",
    "gather",
    "kinked",
    "linear",
    "max_pool",
    "maximum",
    "padding",
    "piecewise",
    "power",
    "product",
    "reduction",
    "refused",
    "relu",
    "shape",
    "sigmoid",
    "slicing",
    "transposed",
]
