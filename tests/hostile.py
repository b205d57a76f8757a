"""What a hostile file could make a decoder do, as tasks for the sandbox. No Django: they run where there is none."""

import os
import signal
from pathlib import Path
from typing import Any


def breaks_down(*arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def takes_memory(*arguments: object) -> None:
    bytearray(2**34)


def writes_too_little(path: str, out: str, *arguments: object) -> dict[str, Any]:
    """In place of `tasks.sample_clip`."""
    Path(out).write_bytes(b"1234")
    return {"sha256": "0" * 64, "numbers": [1, 2]}
