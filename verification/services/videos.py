"""Videos: inspected by the engine, then kept."""

import tempfile
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from verification.engine.clip import Part, file_sha256, sampled_frames
from verification.engine.clip.naming import named
from verification.engine.errors import EngineError
from verification.models import Team, Video
from verification.services import reading
from verification.services.errors import Invalid
from verification.services.incoming import plain, readable_name, refusal, refuse_double, sentence
from verification.services.storing import keep
from verification.services.teams import require_member

#: More frames are not drawn side by side.
MOST_DRAWN = 64
_DRAWN_WIDTH = 112  # pixels
_FLOW_SIDE = 480  # pixels; flow is looked at, and extracted, on frames of no more


def create_video(user: User, team: Team, path: Path, filename: str, class_name: str | None = None) -> Video:
    """Keep a copy of the video at `path` for `team`, under the name `filename`, with pictures of it.

    `class_name`: which class it shows, as far as is known; None: as the name says.

    Raises Invalid when the engine cannot decode it, Conflict when the team has it already, NotAllowed.
    """
    require_member(user, team)
    path = Path(path)
    name = readable_name(filename)
    if path.is_file():
        refuse_double(Video, team, file_sha256(path))  # before minutes of decoding
    with tempfile.TemporaryDirectory(prefix="flowverify-") as scratch:
        strip, preview = Path(scratch) / "strip.jpg", Path(scratch) / "preview.webm"
        try:
            found = reading.read_video(path, strip, preview)
        except EngineError as error:
            raise refusal(error, path, name) from error
        video = Video(
            team=team,
            name=name,
            class_name=plain(named(name).class_name if class_name is None else class_name)[:200],
            sha256=found["sha256"],
            bytes=path.stat().st_size,
            frames=found["frames"],
            fps=found["fps"],
            height=found["height"],
            width=found["width"],
            created_by=user,
        )
        contents = [(video.file, path, name), (video.strip, strip, strip.name)]
        if found["previewed"]:
            contents.append((video.preview, preview, preview.name))
        keep(video, contents)
    return video


def sample(video: Video, frames: int, sampling: str, first: int | None = None, last: int | None = None) -> list[int]:
    """Which frames of the video, from 1, make a clip: see `sampled_frames`. Raises Invalid."""
    try:
        numbers = sampled_frames(video.info, frames, sampling, Part(1 if first is None else first, last))
    except EngineError as error:
        raise Invalid(sentence(error)) from error
    return [number + 1 for number in numbers]


def draw(video: Video, numbers: list[int]) -> bytes:
    """A JPEG of these frames of the video (from 1, increasing) side by side. Raises Invalid."""
    if not numbers or len(numbers) > MOST_DRAWN:
        raise Invalid(f"From 1 to {MOST_DRAWN} frames can be drawn side by side, not {len(numbers)}.")
    if sorted(set(numbers)) != numbers or numbers[0] < 1 or numbers[-1] > video.frames:
        raise Invalid(f"The frames must be increasing numbers from 1 to {video.frames}.")
    try:
        return reading.draw_sample(Path(video.file.path), [number - 1 for number in numbers], _DRAWN_WIDTH)
    except EngineError as error:
        raise refusal(error, Path(video.file.path), video.name) from error


def flow(video: Video, first: int, second: int) -> dict[str, Any]:
    """The flow between two frames of the video (from 1), see `tasks.draw_flow`. Raises Invalid."""
    if not 1 <= first < second <= video.frames:
        raise Invalid(f"Name two frames of the video, the earlier one first, from 1 to {video.frames}.", "second")
    try:
        return reading.draw_flow(Path(video.file.path), first - 1, second - 1, _FLOW_SIDE)
    except EngineError as error:
        raise refusal(error, Path(video.file.path), video.name) from error
