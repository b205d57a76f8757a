"""Verifications as the lists show them: every number rounded to its safe side."""

from collections.abc import Iterable
from dataclasses import dataclass

from verification.engine import rounded
from verification.engine.perturbation import Unit, unit_of
from verification.models import Verification


@dataclass(frozen=True)
class VerificationRow:
    """One line of the dashboard, bounds with their unit; empty texts where there is nothing to say yet."""

    verification: Verification
    long: bool  #: the bounds are texts that may take two lines
    lower: str
    upper: str
    no_upper: str  #: why there is no upper bound
    ratio: str
    waiting: str


def rows(verifications: Iterable[Verification], positions: dict[object, int]) -> list[VerificationRow]:
    """The rows of `verifications`; `positions` in the queue by id, 1 is next."""
    return [_row(verification, positions.get(verification.pk)) for verification in verifications]


def queue_positions() -> dict[object, int]:
    """The place of every queued verification, of all teams because they share the workers; 1 is next."""
    waiting = Verification.objects.filter(status=Verification.Status.QUEUED).order_by("created_at")
    return {key: place for place, key in enumerate(waiting.values_list("pk", flat=True), start=1)}


def _row(verification: Verification, position: int | None) -> VerificationRow:
    lower, upper, unit = verification.lower, verification.upper, unit_of(verification.space)
    ratio = upper / lower if upper is not None and lower > 0 else None
    return VerificationRow(
        verification=verification,
        long=unit not in {Unit.FLOW, Unit.SIDE},
        lower=unit.proven(lower) if lower > 0 else "",
        upper="" if upper is None else unit.found(upper),
        no_upper=_no_upper(verification),
        ratio="" if ratio is None else rounded.upper_bound(ratio),
        waiting="" if position is None else _waiting(position),
    )


def _no_upper(verification: Verification) -> str:
    if verification.upper is not None:
        return ""
    if verification.status == Verification.Status.CERTIFIED:
        return "none exists" if verification.radius is None else "none within the radius"
    return "none found yet" if verification.is_open else "none found"


def _waiting(position: int) -> str:
    return "next in the queue" if position == 1 else f"{position - 1} before it"
