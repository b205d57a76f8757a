"""In what a distance is measured, and how it is written with its unit, rounded to the side on which it stays true."""

from collections.abc import Callable
from enum import StrEnum

from verification.engine import rounded

_GREY = 255


class Unit(StrEnum):
    """Values are the spellings of result files and of the API."""

    FLOW = "px"  #: pixels of optical flow
    VALUE = "value"  #: pixel values, from 0 to 1; written in grey levels of 8 bits (1/255) as well

    @property
    def heading(self) -> str:
        """For the head of a column and for axes."""
        return "px" if self is Unit.FLOW else "pixel value (grey levels)"

    @property
    def definition(self) -> str:
        """In words: `a distance in ...`."""
        if self is Unit.FLOW:
            return "pixels of optical flow"
        return f"pixel values from 0 to 1 (in brackets: in grey levels, of which {_GREY} make 1)"

    def proven(self, distance: float) -> str:
        """A proven distance with its unit: `0.25 px`, `0.25 (63.75 grey levels)`."""
        return self._written(distance, rounded.lower_bound, " px", " grey levels")

    def found(self, distance: float) -> str:
        """The size of an example with its unit."""
        return self._written(distance, rounded.upper_bound, " px", " grey levels")

    def plain(self, distance: float) -> str:
        """A distance that carries no promise, such as the radius that was asked for."""
        return self._written(distance, rounded.plain, " px", " grey levels")

    def proven_number(self, distance: float) -> str:
        """A proven distance where `heading` already says the unit: `0.25`, `0.25 (63.75)`."""
        return self._written(distance, rounded.lower_bound)

    def found_number(self, distance: float) -> str:
        """The size of an example, as `proven_number`."""
        return self._written(distance, rounded.upper_bound)

    def _written(self, distance: float, text: Callable[..., str], flow: str = "", grey: str = "") -> str:
        if self is Unit.FLOW:
            return text(distance) + flow
        return f"{text(distance)} ({text(distance, _GREY)}{grey})"
