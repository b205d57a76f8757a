"""What can be set of an extractor: numbers and words with their limits, each a field of a frozen dataclass."""

import math
import re
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

#: Under which a field's metadata hold its `Parameter`.
KEY = "parameter"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Parameter:
    """What a parameter is for, and what it may be: one of `choices`, or a number from `least` to `most`, both included."""

    purpose: str
    whole: bool = False
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[Any, ...] = ()

    @property
    def limits(self) -> str:
        """`1 to 10`, or `5 or 7`."""
        return (
            " or ".join(map(written, self.choices))
            if self.choices
            else f"{written(self.least)} to {written(self.most)}"
        )

    @property
    def allowed(self) -> str:
        """In words: `a whole number from 1 to 10`."""
        if self.choices:
            return self.limits
        return f"a {'whole ' if self.whole else ''}number from {self.limits}"

    def read(self, text: str) -> Any:
        """The value that a person wrote, or None where it is none of those that are allowed."""
        if self.choices:
            return {written(choice): choice for choice in self.choices}.get(text)
        if not _NUMBER.fullmatch(text):
            return None
        number = float(text) + 0.0  # no negative zero
        value = int(number) if self.whole and number.is_integer() else number
        return value if self.admits(value) else None

    def admits(self, value: Any) -> bool:
        """Whether a value is of the right type and within the limits."""
        if self.choices:
            return value in self.choices
        return type(value) in ((int,) if self.whole else (int, float)) and self.least <= value <= self.most


def whole(default: int, least: int, most: int, purpose: str) -> int:
    """A field for a whole number from `least` to `most`."""
    return field(default=default, metadata={KEY: Parameter(purpose, True, least, most)})


def real(default: float, least: float, most: float, purpose: str) -> float:
    """A field for any number from `least` to `most`."""
    return field(default=default, metadata={KEY: Parameter(purpose, False, least, most)})


def one_of(default: T, others: tuple[T, ...], purpose: str) -> T:
    """A field for one of a few values."""
    return field(default=default, metadata={KEY: Parameter(purpose, choices=(default, *others))})


def written(value: Any) -> str:
    """A value as people write it, with all its digits: 4 and not 4.0."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
