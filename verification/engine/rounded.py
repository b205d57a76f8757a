"""Numbers in words for people, rounded so that no statement becomes stronger than what was computed."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

DIGITS = 4


def lower_bound(value: float, times: int = 1) -> str:
    """A proven radius, rounded down: what is printed is proven too. `times`: in a unit that many times smaller."""
    return _round(value, times, ROUND_FLOOR)


def upper_bound(value: float, times: int = 1) -> str:
    """The size of an adversarial example, rounded up: an example of at most this size exists."""
    return _round(value, times, ROUND_CEILING)


def plain(value: float, times: int = 1) -> str:
    """A number that carries no promise, such as an error ratio."""
    return _round(value, times, ROUND_HALF_EVEN)


def _round(value: float, times: int, rounding: str) -> str:
    """`times` `value` to `DIGITS` significant digits without trailing zeros."""
    # The shortest decimal that reads back as the same float: 0.3 is "0.3" and not rounded down to "0.2999".
    exact = Decimal(repr(float(value))) * times
    if exact == 0:
        return "0"
    step = Decimal(1).scaleb(min(exact.adjusted() - DIGITS + 1, 0))
    rounded = exact.quantize(step, rounding=rounding).normalize()
    return f"{rounded:e}" if abs(exact) < Decimal("1e-6") else f"{rounded:f}"
