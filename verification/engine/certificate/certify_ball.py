"""Proving a bound by one ball: the largest radius for which the checker's own bounds of the whole ball hold."""

import math
from collections.abc import Callable

from verification.engine.certificate.ball_checker import BallChecker
from verification.engine.certificate.document import CertificateError

_ATTEMPTS = 12
_FINE = 1.03  # the radius is known well enough
_SAFE = 0.97  # a little below where the margin is expected to vanish


def prove_ball(checker: BallChecker, lower: float, margin: float, check: Callable[[], None]) -> float:
    """A radius, at most `lower`, that the checker proves, nearly the largest one. `margin`: the least one at the clip itself.

    Every attempt is a whole proof. Raises CertificateError where nothing can be proven.
    """
    proven, failed = (0.0, margin), (math.inf, -math.inf)
    radius = lower
    for _ in range(_ATTEMPTS):
        found = checker.margin(radius, check)
        if found > 0:
            proven = radius, found
        else:
            failed = radius, found
        if proven[0] == lower or (proven[0] and failed[0] < proven[0] * _FINE):
            break
        radius = _between(proven, failed)
    if not proven[0]:
        raise CertificateError("the checker's bounds are too weak for this network")
    return proven[0]


def _between(proven: tuple[float, float], failed: tuple[float, float]) -> float:
    """Margins fall faster and faster with the radius: where the chord vanishes they are still positive, or nearly so."""
    (low, above), (high, below) = proven, failed
    if not math.isfinite(below):
        return (low + high) / 2 if low else high / 8
    chord = low + (high - low) * above / (above - below)
    return min(max(chord * _SAFE, low + (high - low) / 16), high - (high - low) / 16)
