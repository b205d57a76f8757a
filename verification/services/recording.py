"""What a worker writes while it runs a verification; each write checks that it still holds the lease.

A worker claims a verification under a name of its own (`owner`), renews the lease while it works, and stops
when a function here raises LeaseLost: another worker has taken over, as this one had been silent too long.
"""

from collections.abc import Mapping
from copy import copy
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import F, Max, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from verification.engine.result import BoundPoint, Status
from verification.live.publish import publish_status
from verification.models import Bound, Event, Verification
from verification.services.errors import Invalid, LeaseLost
from verification.services.storing import delete_on_commit, saving_files
from verification.services.versions import versions

#: How long a worker may stay silent. Only a dead one, or one that does not renew at all, loses its lease.
LEASE = timedelta(seconds=30)
MAX_ATTEMPTS = 3

GIVEN_UP = (
    f"The worker died {MAX_ATTEMPTS} times while it ran this verification, most likely for want of memory. "
    "The bounds found so far hold. Try fewer or smaller frames."
)


def claim(verification_id: UUID | str, owner: str) -> Verification | None:
    """Take a queued verification, or one whose worker has died; None when there is nothing to take.

    A verification that was cancelled, or was tried `MAX_ATTEMPTS` times, is closed instead.
    """
    now = timezone.now()
    free = Q(status=Verification.Status.QUEUED) | Q(status=Verification.Status.RUNNING, lease_expires_at__lt=now)
    rows = Verification.objects.filter(free, pk=verification_id)
    with transaction.atomic():
        # One statement each: of two workers that come at the same time, one finds no row.
        closed = rows.filter(cancel_requested=True).update(**_ending(Verification.Status.CANCELLED))
        closed += rows.filter(attempts__gte=MAX_ATTEMPTS).update(**_ending(Verification.Status.FAILED), error=GIVEN_UP)
        taken = rows.update(
            status=Verification.Status.RUNNING,
            attempts=F("attempts") + 1,
            lease_owner=owner,
            lease_expires_at=now + LEASE,
            certifying=False,
            started_at=Coalesce("started_at", now),
            versions=versions(),
        )
    if closed:
        publish_status(Verification.objects.get(pk=verification_id))
    if not taken:
        return None
    related = Verification.objects.select_related("video", "classifier", "team")
    return related.get(pk=verification_id)


def renew(verification: Verification, elapsed: float | None = None) -> bool:
    """Hold the lease for another while; returns whether somebody asked to cancel."""
    fields: dict[str, Any] = {"lease_expires_at": timezone.now() + LEASE}
    if elapsed is not None:
        fields["elapsed"] = max(elapsed, verification.elapsed)
    record_fields(verification, **fields)
    cancelled = Verification.objects.filter(pk=verification.pk).values_list("cancel_requested", flat=True).get()
    verification.cancel_requested = cancelled
    return cancelled


def record_start(verification: Verification, label: int, confidence: float) -> None:
    """The class of the clip, and how sure the classifier is of it."""
    record_fields(verification, label=label, confidence=confidence)


def record_given(verification: Verification, label: int, confidence: float) -> None:
    """Where the clip is mirrored: the class of the clip as it was given, and how sure the classifier is of it."""
    record_fields(verification, given_label=label, given_confidence=confidence)


def record_bound(verification: Verification, point: BoundPoint) -> Bound | None:
    """Add a bound; None when it says nothing new, as after a resume from an older checkpoint.

    Bounds are monotone and numbers without gaps whatever comes: a resumed run counts from its checkpoint, so
    each point is joined with what is recorded, and numbered here. Raises Invalid when the bounds would cross.
    """
    with transaction.atomic():
        current = locked(verification)
        lower = max(current.lower, point.lower)
        upper = min((value for value in (current.upper, point.upper) if value is not None), default=None)
        if upper is not None and lower > upper:
            raise Invalid(f"The lower bound {lower:g} passed the upper bound {upper:g}: one of them is wrong.")
        if (lower, upper) == (current.lower, current.upper):
            return None
        last = Bound.objects.filter(verification=verification).order_by("-number").first()
        bound = Bound.objects.create(
            verification=verification,
            number=last.number + 1 if last else 1,
            seconds=max(point.seconds, last.seconds if last else 0.0),
            lower=lower,
            upper=upper,
            source=point.source,
        )
        elapsed = max(current.elapsed, bound.seconds)
        record_fields(verification, lower=lower, upper=upper, elapsed=elapsed)
    return bound


def record_game(verification: Verification, game: Mapping[str, Any]) -> None:
    """What the two players do just now; replaces what was there."""
    record_fields(verification, game=dict(game))


def record_event(verification: Verification, seconds: float, text: str) -> Event:
    """Add one line for whoever watches."""
    with transaction.atomic():
        locked(verification)
        last = Event.objects.filter(verification=verification).aggregate(number=Max("number"))["number"] or 0
        return Event.objects.create(
            verification=verification, number=last + 1, seconds=max(seconds, 0.0), text=text[:500]
        )


def record_certifying(verification: Verification) -> None:
    """The bounds are final and their certificate is being written."""
    record_fields(verification, certifying=True)


def record_uncertified(verification: Verification, reason: str) -> bool:
    """There is no certificate, and why. Returns whether that is news."""
    news = reason != verification.uncertified
    record_fields(verification, uncertified=reason, certifying=False)
    return news


def save_checkpoint(verification: Verification, state: bytes) -> None:
    """Replace the checkpoint: the row names either the old file or the new one, and both are whole."""
    require_held(verification)
    old = copy(verification.checkpoint)
    with saving_files() as files:
        files.save(verification.checkpoint, "checkpoint", ContentFile(state))
        with transaction.atomic():
            record_fields(verification, checkpoint=verification.checkpoint.name)
            delete_on_commit(old)


def load_checkpoint(verification: Verification) -> bytes | None:
    """The state from which to go on, if there is one."""
    if not verification.checkpoint:
        return None
    with verification.checkpoint.open("rb") as file:
        return bytes(file.read())


def finish(verification: Verification, status: Status, elapsed: float, lower_grey_levels: float | None = None) -> None:
    """The run is over; `stopped` means that a person cancelled it. The checkpoint is not needed any more.

    `lower_grey_levels`: of `Result`.
    """
    final = Verification.Status.CANCELLED if status is Status.STOPPED else Verification.Status(status.value)
    _end(verification, final, elapsed=max(elapsed, verification.elapsed), lower_grey_levels=lower_grey_levels)


def fail(verification: Verification, message: str) -> None:
    """The run cannot go on; the bounds found so far hold."""
    _end(verification, Verification.Status.FAILED, error=message)


def release(verification: Verification) -> None:
    """Give it back unfinished, because this worker is being stopped: queued, and no attempt is counted."""
    record_fields(
        verification,
        status=Verification.Status.QUEUED,
        attempts=max(verification.attempts - 1, 0),
        certifying=False,
        lease_owner="",
        lease_expires_at=None,
    )


def _end(verification: Verification, status: Verification.Status, **fields: Any) -> None:
    old = copy(verification.checkpoint)
    with transaction.atomic():
        record_fields(verification, **_ending(status), checkpoint="", **fields)
        delete_on_commit(old)


def _ending(status: Verification.Status) -> dict[str, Any]:
    return {
        "status": status,
        "finished_at": timezone.now(),
        "lease_owner": "",
        "lease_expires_at": None,
        "certifying": False,
    }


def _held(verification: Verification) -> QuerySet[Verification]:
    """The row, if the worker that holds `verification` in memory still has the lease."""
    owner = verification.lease_owner
    return Verification.objects.filter(pk=verification.pk, status=Verification.Status.RUNNING, lease_owner=owner)


def locked(verification: Verification) -> Verification:
    """The row as it is now, locked until the transaction ends. Raises LeaseLost."""
    row = _held(verification).select_for_update().first()
    if row is None:
        raise LeaseLost(_lost(verification))
    return row


def require_held(verification: Verification) -> None:
    """Raise LeaseLost unless the worker still has the lease; before work that costs something."""
    if not _held(verification).exists():
        raise LeaseLost(_lost(verification))


def record_fields(verification: Verification, **fields: Any) -> None:
    """Update the row under the lease, and the object in memory with it."""
    if not _held(verification).update(**fields):
        raise LeaseLost(_lost(verification))
    for name, value in fields.items():
        setattr(verification, name, value)


def _lost(verification: Verification) -> str:
    return f"Another worker has taken over verification {verification.pk}."
