"""What is read of files that people send: in a process of its own, within the limits of the settings."""

import math
import tempfile
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import numpy as np
import torch
from django.conf import settings

from verification.engine.clip import Clip, Part
from verification.engine.errors import ClipError, UnavailableError
from verification.sandbox import Limits, run_apart, tasks

#: So many files are read at a time by one server; whoever comes later waits for so many seconds.
_AT_A_TIME, _PATIENCE = 2, 60.0
#: Pictures for people, drawn while they wait: whatever takes longer is not worth it.
_DRAWING_SECONDS = 60.0
_turns = BoundedSemaphore(_AT_A_TIME)


def _apart(
    task: Callable[..., Any], *arguments: object, seconds: float = math.inf, file_bytes: int = Limits.file_bytes
) -> Any:
    if not _turns.acquire(timeout=_PATIENCE):
        raise UnavailableError("the server is busy with other files; try again in a moment")
    try:
        memory = int(settings.FLOWVERIFY_READING_MEMORY_GB * 2**30)
        limits = Limits(min(seconds, settings.FLOWVERIFY_READING_SECONDS), memory, file_bytes)
        return run_apart(task, *arguments, limits=limits)
    finally:
        _turns.release()


def read_video(path: Path, strip: Path, preview: Path) -> dict[str, Any]:
    """See `tasks.inspect_video`. Raises EngineError."""
    found: dict[str, Any] = _apart(tasks.inspect_video, str(path), str(strip), str(preview))
    return found


def sample_clip(path: Path, *, frames: int, size: tuple[int, int], sampling: str, part: Part, name: str) -> Clip:
    """See `engine.read_clip`. Raises EngineError."""
    shape = (frames, 3, *size)
    nbytes = math.prod(shape) * np.dtype(np.float32).itemsize
    with tempfile.TemporaryDirectory(prefix="flowverify-") as scratch:
        out = Path(scratch) / "frames"
        wanted = (frames, size, sampling, part, name)
        found = _apart(tasks.sample_clip, str(path), str(out), *wanted, file_bytes=nbytes)
        values = np.fromfile(out, dtype=np.float32)
    if values.nbytes != nbytes:
        raise ClipError(f"{name} could not be read as a whole; try again")
    return Clip(torch.from_numpy(values.reshape(shape)), name, found["sha256"], tuple(found["numbers"]))


def read_classifier(
    path: Path,
    name: str,
    options: Mapping[str, object],
    video: Path | None = None,
    invent_labels: bool = False,
) -> dict[str, Any]:
    """See `tasks.inspect_classifier`. Raises EngineError."""
    clip = None if video is None else str(video)
    told = (str(path), name, dict(options), clip, invent_labels)
    found: dict[str, Any] = _apart(tasks.inspect_classifier, *told)
    return found


def draw_flow(path: Path, first: int, second: int, side: int) -> dict[str, Any]:
    """See `tasks.draw_flow`. Raises EngineError."""
    found: dict[str, Any] = _apart(tasks.draw_flow, str(path), first, second, side, seconds=_DRAWING_SECONDS)
    return found


def draw_sample(path: Path, numbers: Sequence[int], width: int) -> bytes:
    """A JPEG of these frames of a video (from 0) side by side, each `width` pixels wide. Raises EngineError."""
    return b64decode(_apart(tasks.draw_sample, str(path), list(numbers), width, seconds=_DRAWING_SECONDS))
