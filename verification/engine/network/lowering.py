"""From ATen operations to ours: a registry of small functions, one for each operation that `torch.export` leaves over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from verification.engine.errors import UnsupportedOperationError

if TYPE_CHECKING:
    from verification.engine.network.operations.base import Operation


@dataclass(frozen=True)
class Reference:
    """A value that depends on the clip, by its index in the graph."""

    index: int


#: What a lowering receives for each tensor argument: a reference, or a constant that was folded already (float64).
Value = Reference | Tensor

LOWERINGS: dict[str, Callable[..., Any]] = {}


def lowers(*targets: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the lowering of the ATen overloads `targets`; it gets a `Lowering` and the overload's own arguments.

    It returns the value of the operation, or a tuple of values for operations with several results.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        LOWERINGS.update(dict.fromkeys(targets, function))
        return function

    return register


def spread(value: Sequence[int] | int, rank: int) -> tuple[int, ...]:
    """One number for each of `rank` axes, from one number for all or one for each."""
    numbers = (value,) if isinstance(value, int) else tuple(value)
    return numbers * rank if len(numbers) == 1 else numbers


class Lowering:
    """Collects the nodes of a graph under construction.

    `name`, `place` and `result_shape` are those of the ATen operation that is being lowered.
    """

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        self.shapes: list[tuple[int, ...]] = [input_shape]
        self.emitted: list[tuple[Operation, tuple[int, ...], tuple[int, ...], str, str]] = []
        self.name, self.place = "", ""
        self.result_shape: tuple[int, ...] = ()

    def shape(self, value: Value) -> tuple[int, ...]:
        return tuple(value.shape) if isinstance(value, Tensor) else self.shapes[value.index]

    def rank(self, value: Value) -> int:
        return len(self.shape(value))

    def emit(self, operation: "Operation", *inputs: Value) -> Value:
        """Append `operation`; its output shape is found by computing it on empty (meta) tensors."""
        if any(not bool(torch.isfinite(constant).all()) for constant in operation.constants().values()):
            self.refuse("a constant that is not finite", "mend the weights or masks from which it is computed")
        indices = []
        for value in inputs:
            if isinstance(value, Tensor):
                self.refuse("an operation on a constant where it expects a value of the clip")
            indices.append(value.index)
        shape = operation.output_shape(*(self.shapes[i] for i in indices))
        self.shapes.append(shape)
        self.emitted.append((operation, tuple(indices), shape, self.name, self.place))
        return Reference(len(self.shapes) - 1)

    def made_by(self, value: Reference) -> "tuple[Operation, tuple[int, ...]] | None":
        """The operation that gives `value` and its inputs; None for the clip itself."""
        return self.emitted[value.index - 1][:2] if value.index else None

    def refuse(self, what: str, advice: str = "replace it by an operation from the documentation's list") -> NoReturn:
        """Raise UnsupportedOperationError with the operation's place in the model."""
        raise UnsupportedOperationError(
            f"the network contains {what} ({self.name} in {self.place or 'the top module'}), for which there is no bound "
            f"rule; {advice}"
        )
