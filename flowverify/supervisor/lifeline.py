"""What a child does so that it never outlives its supervisor, whatever kills that one.

The supervisor keeps the writing end of a pipe open and hands the reading end to each child. When the
supervisor ends, even by kill -9, the pipe closes; the child reads that and stops as if it had been asked to.
Works on every POSIX system.
"""

import os
import signal
import threading
import time
from pathlib import Path

from flowverify.supervisor.home import is_held, take_lock

#: Environment variable with the number of the inherited descriptor; unset when a person starts the process.
VARIABLE = "FLOWVERIFY_LIFELINE"
#: A child that was asked to stop and cannot (deep inside native code) is ended after this many seconds.
GRACE_SECONDS = 10.0


def hold(home: Path, name: str, after: tuple[str, ...] = ()) -> None:
    """Mark this process as the child `name` of the server on `home` and stop when its supervisor ends.

    `after`: children that need this one while they stop; it waits for them. Raises `SystemExit` when another
    process already plays that role.
    """
    value = os.environ.pop(VARIABLE, None)
    if value is None:
        return
    if take_lock(home, name) is None:
        raise SystemExit(f"another {name} already runs on {home}")
    threading.Thread(target=_watch, args=(int(value), home, after), name="lifeline", daemon=True).start()


def _watch(descriptor: int, home: Path, after: tuple[str, ...]) -> None:
    os.read(descriptor, 1)
    deadline = time.monotonic() + GRACE_SECONDS
    for name in after:
        while is_held(home, name) and time.monotonic() < deadline:
            time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
