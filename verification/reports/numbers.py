"""Numbers of a report, rounded so that no statement becomes stronger than what was computed."""

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

DIGITS = 4


def _round(value: float, rounding: str) -> str:
    """`value` to `DIGITS` significant digits without trailing zeros."""
    # The shortest decimal that reads back as the same float: 0.3 is "0.3" and not rounded down to "0.2999".
    exact = Decimal(repr(float(value)))
    if exact == 0:
        return "0"
    step = Decimal(1).scaleb(min(exact.adjusted() - DIGITS + 1, 0))
    rounded = exact.quantize(step, rounding=rounding).normalize()
    return f"{rounded:e}" if abs(exact) < Decimal("1e-6") else f"{rounded:f}"


def lower_bound(value: float) -> str:
    """A proven radius, rounded down: what is printed is proven too."""
    return _round(value, ROUND_FLOOR)


def upper_bound(value: float) -> str:
    """The size of an adversarial example, rounded up: an example of at most this size exists."""
    return _round(value, ROUND_CEILING)


def plain(value: float) -> str:
    """A number that carries no promise, such as an error ratio."""
    return _round(value, ROUND_HALF_EVEN)


def percent(share: float) -> str:
    """A confidence in [0, 1] as a percentage; only 1 itself is written 100 %."""
    shown = Decimal(100) if share >= 1 else min(Decimal(repr(share)) * 100, Decimal("99.99"))
    return f"{shown.quantize(Decimal('0.01')).normalize():f} %"


def keep_together(text: str) -> str:
    """`text` with no line break between a number and its unit."""
    return re.sub(r"(?<=\d) (?=(?:px|s|min|h)\b|%)", "\u00a0", text)


def duration(seconds: float) -> str:
    """Seconds as people say them: `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s".removesuffix(" 0 s")
    return f"{minutes // 60} h {minutes % 60} min".removesuffix(" 0 min")
