"""One line on a terminal that says how far a command is, and nothing where nobody watches."""

import time
from typing import TextIO

_CLEAR = "\r\x1b[K"
_REFRESH_SECONDS = 0.2
_BAR = 24  # characters


class ProgressLine:
    """Of `total` things; `stream` is a terminal or stays empty. Leave room for other lines with `write`."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream, self._total, self._done = stream, total, 0
        self._visible = stream.isatty()
        self._began = time.monotonic()
        self._drawn = 0.0

    def advance(self, what: str) -> None:
        """One more is done; `what` comes next or was the last."""
        self._done += 1
        now = time.monotonic()
        if self._visible and (now - self._drawn >= _REFRESH_SECONDS or self._done == self._total):
            self._drawn = now
            filled = _BAR * self._done // self._total
            left = (now - self._began) / self._done * (self._total - self._done)
            bar = "█" * filled + "·" * (_BAR - filled)
            self._stream.write(f"{_CLEAR}{bar} {self._done} of {self._total}, {left:.0f} s left, {what[:40]}")
            self._stream.flush()

    def write(self, line: str) -> None:
        """A line that stays, above the moving one."""
        self._stream.write(f"{_CLEAR if self._visible else ''}{line}\n")

    def close(self) -> None:
        """Take the moving line away."""
        if self._visible:
            self._stream.write(_CLEAR)
            self._stream.flush()
