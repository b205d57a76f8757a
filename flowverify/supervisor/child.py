"""One child process of the supervisor: started, started again when it dies, stopped at the end."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from flowverify.supervisor.lifeline import VARIABLE

#: A log longer than this is moved to `<name>.log.1`; the children append, so nothing is written twice.
LOG_BYTES = 5_000_000
#: Seconds before the first and the longest wait between two starts of a child that keeps dying.
FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
#: A child that lived this long was healthy: the next wait is short again.
HEALTHY_SECONDS = 30.0


@dataclass
class Child:
    """A process that shall run as long as the supervisor. `arguments` follow the Python executable."""

    name: str
    arguments: list[str]
    log: Path
    lifeline: int
    descriptors: tuple[int, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    _started_at: float = 0.0
    _wait: float = FIRST_WAIT
    _next_start: float = 0.0

    def start(self) -> None:
        """Start it in a session of its own: Ctrl-C reaches the supervisor alone, which stops all in order."""
        rotate(self.log)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment, VARIABLE: str(self.lifeline), "PYTHONUNBUFFERED": "1"},
                pass_fds=(self.lifeline, *self.descriptors),
                start_new_session=True,
            )
        self.starts += 1
        self._started_at = time.monotonic()

    def revive(self) -> str | None:
        """Start it again if it died, not too often; returns how it ended, once for each death."""
        if self.process is None:
            if time.monotonic() >= self._next_start:
                self.start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.process = None
        if time.monotonic() - self._started_at > HEALTHY_SECONDS:
            self._wait = FIRST_WAIT
        self._next_start = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        return describe_exit(code)

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    @property
    def stopped(self) -> bool:
        """Whether no process is left to wait for."""
        return self.process is None or self.process.poll() is not None

    def end(self) -> None:
        """End it at once, with its whole session."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def describe_exit(code: int) -> str:
    """A return code of `Popen` in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def rotate(log: Path) -> None:
    """Keep `log` short: move its content to `<log>.1` and empty the file, which processes hold open."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)
