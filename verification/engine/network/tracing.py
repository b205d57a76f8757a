"""`torch.export` of a classifier, and what its errors mean to the people whose network it is."""

import traceback
import warnings
from typing import Any

import torch
from torch import nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from verification.engine.errors import ClassifierError, first_line

#: Operations that torch would take apart, and that have a rule, or a clear refusal, as a whole.
_WHOLE = (
    "celu",
    "hardsigmoid",
    "hardswish",
    "log_sigmoid",
    "pad",
    "prelu",
    "rms_norm",
    "roll",
    "scaled_dot_product_attention",
    "silu",
    "softplus",
    "threshold",
)


def trace(module: nn.Module, input_shape: tuple[int, ...]) -> Any:
    """The exported program of `module`, which is put into eval mode, for one clip, in core ATen operations.

    Raises ClassifierError with the place in the module and what to do where torch cannot follow it.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(module.eval(), (torch.rand(input_shape),))
            return program.run_decompositions(_decompositions())
        except Exception as error:  # torch.export raises its users' errors as many unrelated classes
            raise ClassifierError(
                f"the classifier cannot be turned into a graph for a clip of shape {list(input_shape)}: "
                f"in {_place(module, error) or 'the top module'}, {_meaning(error)}"
            ) from error


def _decompositions() -> Any:
    """torch's own, less those of `_WHOLE`."""
    table = torch.export.default_decompositions()
    for name in _WHOLE:
        table.pop(getattr(torch.ops.aten, name).default, None)
    return table


def _place(module: nn.Module, error: Exception) -> str:
    """The path of the innermost submodule at work when the error was raised."""
    names = {id(part): name for name, part in module.named_modules()}
    frames = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    places = [names[id(owner)] for owner in frames if isinstance(owner, nn.Module) and id(owner) in names]
    return places[-1] if places else ""


def _meaning(error: Exception) -> str:
    if isinstance(error, GuardOnDataDependentSymNode):
        return (
            "an if, a loop, a size or a number (item, float, int, bool) depends on values of the clip; "
            "compute with tensors, the same way for all clips"
        )
    return f"{first_line(error)}; check that it takes such a clip"
