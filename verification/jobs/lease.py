"""The worker's hold on a verification, renewed while the engine computes."""

import logging
import os
import secrets
import socket
import threading
import time
from copy import copy
from types import TracebackType
from typing import Self

from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from verification.models import Verification
from verification.services import recording
from verification.services.errors import LeaseLost

logger = logging.getLogger(__name__)

#: This process's name on a lease: host, process and a random word, so that a successor can tell that it died.
OWNER = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

#: A third of the lease, so that one renewal may fail.
RENEW_SECONDS = 8.0


class Lease:
    """Renews the lease of a claimed verification on a thread of its own, until the block ends.

    `lost` is set when another worker has taken over; the run must then stop without writing.
    """

    def __init__(self, verification: Verification) -> None:
        # A copy, because the engine's thread writes into the original.
        self._verification = copy(verification)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._began = time.monotonic()
        self._before = verification.elapsed
        self.lost = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def elapsed(self) -> float:
        """Seconds of work on this verification, over all attempts."""
        return self._before + time.monotonic() - self._began

    def _keep(self) -> None:
        try:
            while not self._ended.wait(RENEW_SECONDS):
                close_old_connections()
                self._renew()
        finally:
            connection.close()

    def _renew(self) -> None:
        try:
            recording.renew(self._verification, self.elapsed)
        except LeaseLost:
            self.lost.set()
            self._ended.set()
        except DatabaseError as error:
            logger.warning("could not renew the lease of %s: %s", self._verification.pk, error)


def expire_leases_of_the_dead() -> int:
    """End the leases of processes of this host that have died, instead of waiting until they run out."""
    host = f"{socket.gethostname()}:"
    running = Verification.objects.filter(status=Verification.Status.RUNNING, lease_owner__startswith=host).exclude(
        lease_owner=OWNER
    )
    dead = [owner for owner in running.values_list("lease_owner", flat=True) if not _lives(owner)]
    return running.filter(lease_owner__in=dead).update(lease_expires_at=timezone.now())


def _lives(owner: str) -> bool:
    process = int(owner.split(":")[1])
    if process == os.getpid():
        return False  # an earlier process with the same number, as in containers
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
