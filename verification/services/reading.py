"""What is read of files that people send: in a process of its own, within the limits of the settings."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from verification.engine.errors import EngineError
from verification.sandbox import Limits, run_apart, tasks


def _limits() -> Limits:
    return Limits(settings.FLOWVERIFY_READING_SECONDS, int(settings.FLOWVERIFY_READING_MEMORY_GB * 2**30))


def read_video(path: Path, strip: Path, preview: Path) -> dict[str, Any]:
    """See `tasks.inspect_video`. Raises EngineError."""
    found: dict[str, Any] = run_apart(tasks.inspect_video, str(path), str(strip), str(preview), limits=_limits())
    return found


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
    found: dict[str, Any] = run_apart(tasks.inspect_classifier, *told, limits=_limits())
    return found


def draw_flow(path: Path, first: int, second: int, side: int) -> dict[str, Any]:
    """See `tasks.draw_flow`. Raises EngineError."""
    found: dict[str, Any] = run_apart(tasks.draw_flow, str(path), first, second, side, limits=_limits())
    return found


def draw_sample(path: Path, numbers: Sequence[int], width: int) -> bytes:
    """A JPEG of these frames of a video (from 0) side by side, each `width` pixels wide. Raises EngineError."""
    with tempfile.TemporaryDirectory(prefix="flowverify-") as scratch:
        picture = Path(scratch) / "sample.jpg"
        run_apart(tasks.draw_sample, str(path), list(numbers), width, str(picture), limits=_limits())
        if not picture.is_file():
            raise EngineError("the frames could not be drawn; try again")
        return picture.read_bytes()
