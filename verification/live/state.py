"""What a socket reads from the database: the snapshot, and everything after a point."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from django.db.models import Max

from verification.api.serializers import verification_payload
from verification.live.payloads import (
    AdversarialMessage,
    BoundsMessage,
    EventMessage,
    GameMessage,
    Update,
    as_point,
    as_status,
)
from verification.models import Artifact, Bound, Event, Verification

#: Points in one message; a socket that was away for long gets several.
POINTS = 1000


@dataclass
class Position:
    """How far one socket has been told."""

    bound: int = 0
    event: int = 0
    revision: int = 0
    status: str = ""
    certificate: tuple[bool, str] = (False, "")  #: whether it is being written, and why there is none
    label: int | None = None
    cells: int = 0


@dataclass(frozen=True)
class News:
    """What has happened after a position; `snapshot` when the class has become known meanwhile."""

    updates: list[Update]
    position: Position
    snapshot: dict[str, Any] | None
    final: bool


def revision(verification: Verification) -> int:
    """The revision of the pictures that are stored; 0 when there are none."""
    found = verification.artifacts.filter(kind=Artifact.Kind.ADVERSARIAL_CLIP).aggregate(Max("revision"))
    return found["revision__max"] or 0


@database_sync_to_async
def first_look(verification_id: UUID) -> tuple[dict[str, Any], Position]:
    """The snapshot and the position that it stands for. Raises `Verification.DoesNotExist`."""
    verification = Verification.objects.select_related("video", "classifier").get(pk=verification_id)
    position = Position(
        bound=verification.bounds.aggregate(Max("number"))["number__max"] or 0,
        event=verification.events.aggregate(Max("number"))["number__max"] or 0,
        revision=revision(verification),
        status=verification.status,
        certificate=_certificate(verification),
        label=verification.label,
        cells=_cells(verification),
    )
    return verification_payload(verification), position


@database_sync_to_async
def look(verification_id: UUID, position: Position) -> News:
    """Everything after `position`. Raises `Verification.DoesNotExist`."""
    verification = Verification.objects.select_related("video", "classifier").get(pk=verification_id)
    bounds = list(Bound.objects.filter(verification=verification, number__gt=position.bound)[:POINTS])
    events = list(Event.objects.filter(verification=verification, number__gt=position.event)[:POINTS])
    new_revision = revision(verification)
    updates: list[Update] = []
    if bounds:
        updates.append(BoundsMessage(type="bounds", points=[as_point(bound) for bound in bounds]))
    updates += [EventMessage(type="event", event=e.number, seconds=e.seconds, text=e.text) for e in events]
    if new_revision > position.revision:
        updates.append(
            AdversarialMessage(
                type="adversarial",
                label=verification.upper_label,
                confidence=verification.upper_confidence,
                revision=new_revision,
            )
        )
    if verification.game is not None and _cells(verification) != position.cells:
        updates.append(GameMessage(type="game", game=verification.game))
    if (verification.status, _certificate(verification)) != (position.status, position.certificate):
        updates.append(as_status(verification))
    return News(
        updates=updates,
        position=Position(
            bound=bounds[-1].number if bounds else position.bound,
            event=events[-1].number if events else position.event,
            revision=new_revision,
            status=verification.status,
            certificate=_certificate(verification),
            label=verification.label,
            cells=_cells(verification),
        ),
        snapshot=verification_payload(verification) if verification.label != position.label else None,
        final=not verification.is_open and len(bounds) < POINTS,
    )


def _certificate(verification: Verification) -> tuple[bool, str]:
    return verification.certifying, verification.no_certificate


def _cells(verification: Verification) -> int:
    return 0 if verification.game is None else size_of(verification.game)


def size_of(game: Mapping[str, Any]) -> int:
    """How many cells the game has, or points its grid: it grows with every move."""
    return int(game["cells"] if "cells" in game else game["visited"])
