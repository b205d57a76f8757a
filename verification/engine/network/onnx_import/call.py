"""One ONNX node while it is being imported, and the registry of operators.

An operator is a function of the call; it reads what must be known beforehand (attributes, shapes, whole numbers) and
returns the function of all inputs that is going to be computed, in torch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from torch import Tensor

from verification.engine.errors import UnsupportedOperationError
from verification.engine.network.onnx_import.model import OnnxNode

#: From the inputs, None for those that are left out, to one result or several.
Function = Callable[..., Tensor | tuple[Tensor, ...]]

OPERATORS: dict[str, Callable[["Call"], Function]] = {}


def operator(*names: str) -> Callable[[Callable[["Call"], Function]], Callable[["Call"], Function]]:
    """Register what makes the function of these ONNX operators."""

    def register(make: Callable[["Call"], Function]) -> Callable[["Call"], Function]:
        OPERATORS.update(dict.fromkeys(names, make))
        return make

    return register


@dataclass
class Call:
    """`inputs`: of constants their values, of others what they are on a sample clip; None where left out.

    `fixed`: which are constants. `version`: of the operators.
    """

    node: OnnxNode
    version: int
    inputs: list[Tensor | None]
    fixed: list[bool]

    @property
    def attributes(self) -> Mapping[str, Any]:
        return self.node.attributes

    def has(self, position: int) -> bool:
        return position < len(self.inputs) and self.inputs[position] is not None

    def shape(self, position: int = 0) -> tuple[int, ...]:
        return tuple(self.sample(position).shape)

    def rank(self, position: int = 0) -> int:
        return self.sample(position).dim()

    def sample(self, position: int = 0) -> Tensor:
        """An input, if it is not a constant as it is on some clip: good for shapes and types only."""
        value = self.inputs[position] if position < len(self.inputs) else None
        if value is None:
            self.refuse(f"lacks its input {position + 1}", "export the model again")
        return value

    def constant(self, position: int) -> Tensor:
        """An input that must not depend on the clip."""
        value = self.sample(position)
        if not self.fixed[position]:
            self.refuse(f"takes input {position + 1} from the clip, where a constant is needed", "make it a constant")
        return value

    def whole_numbers(self, position: int) -> tuple[int, ...]:
        """A constant list of whole numbers."""
        value = self.constant(position)
        if value.is_floating_point() or value.dim() > 1:
            self.refuse(
                f"takes something else than a list of whole numbers as input {position + 1}", "export the model again"
            )
        return tuple(int(number) for number in value.reshape(-1).tolist())

    def numbers(self, name: str, default: Sequence[int]) -> tuple[int, ...]:
        """The attribute `name`, a list of whole numbers."""
        value = self.attributes.get(name)
        return tuple(default) if value is None else tuple(value)

    def axis(self, name: str, default: int, rank: int | None = None) -> int:
        """The attribute `name`, an axis of the first input or of a tensor of `rank`, counted from the front."""
        count = self.rank() if rank is None else rank
        axis = int(self.attributes.get(name, default))
        if not -count <= axis < max(count, 1):
            self.refuse(f"names the axis {axis} of a tensor of {count} axes", "export the model again")
        return axis % max(count, 1)

    def refuse(self, what: str, advice: str = "replace it") -> NoReturn:
        raise UnsupportedOperationError(f"the ONNX node {self.node.described} {what}; {advice}")

    def refuse_option(self, name: str) -> NoReturn:
        """Refuse the value that the attribute `name` has."""
        self.refuse(f"has {name} = {self.attributes[name]!r}, which is not supported", "export the model without it")
