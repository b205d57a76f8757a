"""The folder that holds all state of one server, and the lock that keeps it to one server at a time."""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from django.core.management.base import CommandError

#: Children of a supervisor that was killed need this long to notice and to stop by themselves.
LEFTOVER_SECONDS = 25.0


@dataclass(frozen=True)
class Occupant:
    """Who holds a lock: the process and, for the supervisor, the address where it serves."""

    process: int
    address: str = ""


def lock_path(home: Path, name: str) -> Path:
    """The lock of one role ("supervisor", "web", "worker", "broker") under `home`."""
    return home / "run" / f"{name}.lock"


def take_lock(home: Path, name: str, address: str = "") -> int | None:
    """Hold the lock of `name` until this process ends. Returns its descriptor; None if another one holds it.

    The kernel gives a lock back when its holder dies, however it dies: no stale files, no guessing by number.
    """
    descriptor = _try_lock(lock_path(home, name))
    if descriptor is not None:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(asdict(Occupant(os.getpid(), address))).encode())
    return descriptor


def is_held(home: Path, name: str) -> bool:
    """Whether a process plays that role at this moment."""
    descriptor = _try_lock(lock_path(home, name))
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def _try_lock(path: Path) -> int | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def occupant(home: Path, name: str) -> Occupant | None:
    """Who wrote itself into the lock of `name` last, if that can be read."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Occupant(**json.loads(lock_path(home, name).read_text()))
    return None


@contextlib.contextmanager
def occupied(home: Path, address: str) -> Iterator[None]:
    """Claim `home` for this supervisor; a second one is told who has it."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        for folder in ("logs", "run", "media", "uploads"):
            (home / folder).mkdir(exist_ok=True)
        descriptor = take_lock(home, "supervisor", address)
    except OSError as error:
        raise CommandError(
            f"cannot write to {home}: {error.strerror}. Set FLOWVERIFY_HOME to a folder of yours."
        ) from error
    if descriptor is None:
        other = occupant(home, "supervisor")
        who = f"process {other.process} at {other.address}" if other else "another process"
        raise CommandError(
            f"a server already runs on {home} ({who}); stop it, or set FLOWVERIFY_HOME to another folder"
        )
    try:
        clear_leftovers(home)
        yield
    finally:
        os.close(descriptor)


def clear_leftovers(home: Path) -> None:
    """Wait for the children of a supervisor that was killed; end those that do not stop by themselves.

    They share the database and the socket with the children to come, so none may be left.
    """
    deadline = time.monotonic() + LEFTOVER_SECONDS
    for name in ("worker", "web", "broker"):
        while is_held(home, name):
            if time.monotonic() > deadline and (other := occupant(home, name)) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(other.process, signal.SIGKILL)
            time.sleep(0.1)
