"""The demo's bounds in the console, one line for each change."""

import time
from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.db import OperationalError, close_old_connections

from verification.engine.perturbation import unit_of
from verification.models import Verification

TICK_SECONDS = 1.0


class DemoProgress:
    """Reads one verification from the database and says what is new."""

    def __init__(self, say: Callable[[str], None], address: str) -> None:
        self._say = say
        self._address = address
        self._verification_id: str | None = None
        self._said = ""
        self._next = 0.0

    def follow(self, verification_id: str) -> None:
        """Follow this verification from now on."""
        self._verification_id = verification_id
        self._say(f"Demo: {self._address}verifications/{verification_id}/")

    def tick(self) -> None:
        """Say the bounds if they have moved; called often, looks once a second."""
        if self._verification_id is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + TICK_SECONDS
        try:
            close_old_connections()
            verification = Verification.objects.filter(pk=self._verification_id).first()
        except (OperationalError, ValidationError):
            return  # busy, or being replaced; the next look will tell
        if verification is None:
            self._verification_id = None
            return
        bounds = describe(verification)
        if bounds != self._said:
            self._said = bounds
            self._say(f"  {verification.elapsed:6.1f} s   {bounds}")
        if verification.finished_at is not None:
            self._verification_id = None


def describe(verification: Verification) -> str:
    """Both bounds and the state of a verification in one line."""
    unit = unit_of(verification.space)
    lower = f"{unit.proven(verification.lower)} (proven)" if verification.lower > 0 else "nothing proven yet"
    upper = "not found yet" if verification.upper is None else f"{unit.found(verification.upper)} (found)"
    # The pages' word for the status: a spent budget must not read like a failure.
    line = f"lower bound {lower}   upper bound {upper}   {verification.get_status_display().lower()}"
    return f"{line}: {verification.error}" if verification.error else line
