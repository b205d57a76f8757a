"""Shares, durations and spacing of numbers in a report; radii are written by `verification.engine.rounded`."""

import re
from collections.abc import Callable
from decimal import Decimal


def percent(share: float) -> str:
    """A confidence in [0, 1] as a percentage; only 1 itself is written 100 %."""
    shown = Decimal(100) if share >= 1 else min(Decimal(repr(share)) * 100, Decimal("99.99"))
    return f"{shown.quantize(Decimal('0.01')).normalize():f} %"


def signed(value: float, text: Callable[[float], str]) -> str:
    """`text` of the absolute value with its sign wherever it is written: `+0.12 (+12 %)`; 0 has none."""
    sign = "" if value == 0 else "+" if value > 0 else "\u2212"
    return sign + text(abs(value)).replace("(", f"({sign}")


def keep_together(text: str) -> str:
    """`text` with no line break between a number and its unit."""
    return re.sub(r"(?<=\d) (?=(?:px|s|min|h|grey|degrees|doublings)\b|%)", "\u00a0", text)


def duration(seconds: float) -> str:
    """Seconds as people say them: `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s".removesuffix(" 0 s")
    return f"{minutes // 60} h {minutes % 60} min".removesuffix(" 0 min")
