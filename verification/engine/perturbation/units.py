"""In what a distance is measured, and how it is written with its unit, rounded to the side on which it stays true."""

from collections.abc import Callable
from enum import StrEnum

from verification.engine import rounded

_GREY = 255
_CENT = 100


class Unit(StrEnum):
    """Values are the spellings of result files and of the API."""

    FLOW = "px"  #: pixels of optical flow
    VALUE = "value"  #: pixel values, from 0 to 1; written in grey levels of 8 bits (1/255) as well
    SHARE = "share"  #: of a natural distortion, a share of the whole; written in per cent as well
    ANGLE = "degrees"  #: of rotation
    LOGARITHM = "log2"  #: of a factor, to the base 2: 1 doubles, -1 halves
    SIDE = "side"  #: the side of a square, pixels

    @property
    def heading(self) -> str:
        """For the head of a column and for axes."""
        return _HEADINGS[self]

    @property
    def definition(self) -> str:
        """In words: `a distance in ...`."""
        return _DEFINITIONS[self]

    def proven(self, distance: float) -> str:
        """A proven distance with its unit: `0.25 px`, `0.25 (63.75 grey levels)`."""
        return self._written(distance, rounded.lower_bound, named=True)

    def found(self, distance: float) -> str:
        """The size of an example with its unit."""
        return self._written(distance, rounded.upper_bound, named=True)

    def plain(self, distance: float) -> str:
        """A distance that carries no promise, such as the radius that was asked for."""
        return self._written(distance, rounded.plain, named=True)

    def proven_number(self, distance: float) -> str:
        """A proven distance where `heading` already says the unit: `0.25`, `0.25 (63.75)`."""
        return self._written(distance, rounded.lower_bound)

    def found_number(self, distance: float) -> str:
        """The size of an example, as `proven_number`."""
        return self._written(distance, rounded.upper_bound)

    def _written(self, distance: float, text: Callable[..., str], named: bool = False) -> str:
        if self in _FACTORS:
            factor, name = _FACTORS[self]
            return f"{text(distance)} ({text(distance, factor)}{name if named else ''})"
        return text(distance) + (_NAMES[self] if named else "")


_HEADINGS = {
    Unit.FLOW: "px",
    Unit.VALUE: "pixel value (grey levels)",
    Unit.SHARE: "share (per cent)",
    Unit.ANGLE: "degrees",
    Unit.LOGARITHM: "doublings",
    Unit.SIDE: "px",
}
_DEFINITIONS = {
    Unit.FLOW: "pixels of optical flow",
    Unit.VALUE: f"pixel values from 0 to 1 (in brackets: in grey levels, of which {_GREY} make 1)",
    Unit.SHARE: "shares of the whole (in brackets: in per cent)",
    Unit.ANGLE: "degrees of an angle",
    Unit.LOGARITHM: "doublings of a factor, its logarithm to the base 2",
    Unit.SIDE: "pixels, the side of a square",
}
#: What is written in brackets as well: by what factor, and what it is called.
_FACTORS = {Unit.VALUE: (_GREY, " grey levels"), Unit.SHARE: (_CENT, " %")}
_NAMES = {Unit.FLOW: " px", Unit.ANGLE: " degrees", Unit.LOGARITHM: " doublings", Unit.SIDE: " px"}
