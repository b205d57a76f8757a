"""Finds verifications that wait without a message: after a crash, or when the broker has lost its data."""

import logging
from collections.abc import Callable
from uuid import UUID

from django.db import close_old_connections
from django.db.models import Q
from django.utils import timezone

from verification.jobs.interruption import stopping
from verification.jobs.lease import expire_leases_of_the_dead
from verification.models import Verification
from verification.services import verifications

logger = logging.getLogger(__name__)

#: Seconds between two looks. What still waits at the second look of an idle worker has no message.
SWEEP_SECONDS = 4.0


class Sweeper:
    """Asks again for everything that waits: at the start, and whenever this worker is idle all the same."""

    def __init__(self, idle: Callable[[], bool]) -> None:
        self._idle = idle
        self._waited: set[UUID] = set()

    def run(self) -> None:
        """Sweep until the process stops."""
        self._attempt(self._begin)
        while not stopping.wait(SWEEP_SECONDS):
            self._attempt(self._look)

    def _begin(self) -> None:
        expire_leases_of_the_dead()
        verifications.enqueue_waiting()

    def _look(self) -> None:
        waiting = waiting_now() if self._idle() else set()
        if waiting & self._waited:
            verifications.enqueue_waiting()
            waiting = set()
        self._waited = waiting

    def _attempt(self, action: Callable[[], None]) -> None:
        close_old_connections()
        try:
            action()
        except Exception as error:
            # Database or broker are away: the next look does it.
            logger.warning("sweep: %s", error)


def waiting_now() -> set[UUID]:
    """Queued verifications, and those whose worker has not been heard of."""
    queued = Q(status=Verification.Status.QUEUED)
    abandoned = Q(status=Verification.Status.RUNNING, lease_expires_at__lt=timezone.now())
    return set(Verification.objects.filter(queued | abandoned).values_list("pk", flat=True))
