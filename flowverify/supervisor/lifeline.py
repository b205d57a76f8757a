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

from flowverify.supervisor.home import take_lock

#: Environment variable with the number of the inherited descriptor; unset when a person starts the process.
VARIABLE = "FLOWVERIFY_LIFELINE"
#: A child that was asked to stop and cannot (deep inside native code) is ended after this many seconds.
GRACE_SECONDS = 10.0


def hold(home: Path, name: str) -> None:
    """Mark this process as the child `name` of the server on `home` and stop when its supervisor ends.

    Raises `SystemExit` when another process already plays that role for the same supervisor.
    """
    value = os.environ.pop(VARIABLE, None)
    if value is None:
        return
    if take_lock(home, name) is None:
        raise SystemExit(f"another {name} already runs on {home}")
    threading.Thread(target=_watch, args=(int(value),), name="lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
