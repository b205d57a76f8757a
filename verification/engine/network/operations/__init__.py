"""The operations that the engine can bound. A new one is one file here and its name in the import below.

Importing this package fills `LOWERINGS`, which is why it is taken from here.
"""

from verification.engine.network.lowering import LOWERINGS
from verification.engine.network.operations import (
    arithmetic,
    convolution,
    linear,
    max_pool,
    product,
    reduction,
    relu,
    shape,
    sigmoid,
    slicing,
)
from verification.engine.network.operations.base import Elementwise, Operation, Pulled, Site

__all__ = [
    "LOWERINGS",
    "Elementwise",
    "Operation",
    "Pulled",
    "Site",
    "arithmetic",
    "convolution",
    "linear",
    "max_pool",
    "product",
    "reduction",
    "relu",
    "shape",
    "sigmoid",
    "slicing",
]
