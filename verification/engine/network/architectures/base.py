"""What an architecture is, and how its parameters are read from a classifier file and checked."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, Self

from torch import nn

from verification.engine.errors import ClassifierError


class Architecture(ABC):
    """A family of networks. `outputs` names the tensor whose first axis has one entry for each class."""

    name: ClassVar[str]
    outputs: ClassVar[str]

    @abstractmethod
    def build(self, config: Mapping[str, object], *, frames: int, height: int, width: int, classes: int) -> nn.Module:
        """A network that maps clips (n, frames, 3, height, width) to logits (n, classes), not trained yet.

        Raises ClassifierError when a parameter is unknown or senseless or leaves nothing of such clips.
        """


def whole(default: int, least: int, most: int) -> Any:
    """A parameter that is a whole number from `least` to `most`."""
    return field(default=default, metadata={"least": least, "most": most})


def wholes(default: tuple[int, ...], least: int, most: int) -> Any:
    """A parameter that is a list of one to eight whole numbers from `least` to `most`."""
    return field(default=default, metadata={"least": least, "most": most})


@dataclass(frozen=True)
class Config:
    """Base of the parameters of one architecture; every field is made by `whole` or `wholes`."""

    @classmethod
    def read(cls, architecture: str, values: Mapping[str, object]) -> Self:
        """The parameters in `values`, defaults for the rest. Raises ClassifierError naming what is wrong."""
        known = {parameter.name: parameter for parameter in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise ClassifierError(
                    f"the architecture {architecture} has no parameter {name!r}; it has {', '.join(known)}"
                )
            _check(architecture, known[name], value)
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def _check(architecture: str, parameter: "Field[Any]", value: object) -> None:
    least, most = parameter.metadata["least"], parameter.metadata["most"]
    if isinstance(parameter.default, tuple):
        numbers = value if isinstance(value, list | tuple) and 1 <= len(value) <= 8 else (None,)
        kind = "a list of one to eight whole numbers"
    else:
        numbers, kind = (value,), "a whole number"
    if not all(type(number) is int and least <= number <= most for number in numbers):
        raise ClassifierError(
            f"the parameter {parameter.name!r} of the architecture {architecture} must be {kind} "
            f"from {least} to {most}, not {str(value)[:60]}"
        )
