"""Videos: inspected by the engine, then kept."""

from pathlib import Path

from django.contrib.auth.models import User
from django.core.files import File
from django.db import IntegrityError, transaction

from verification.engine.clip import probe_video
from verification.engine.errors import EngineError
from verification.models import Team, Video
from verification.services.errors import Conflict
from verification.services.incoming import readable_name, refusal, refuse_double
from verification.services.storing import saving_files
from verification.services.teams import require_member


def create_video(user: User, team: Team, path: Path, filename: str) -> Video:
    """Keep a copy of the video at `path` for `team`, under the name `filename`.

    Raises Invalid when the engine cannot decode it, Conflict when the team has it already, NotAllowed.
    """
    require_member(user, team)
    path = Path(path)
    name = readable_name(filename)
    try:
        found = probe_video(path)
    except EngineError as error:
        raise refusal(error, path, name) from error
    video = Video(
        team=team,
        name=name,
        sha256=found.sha256,
        bytes=path.stat().st_size,
        frames=found.frames,
        fps=found.fps,
        height=found.height,
        width=found.width,
        created_by=user,
    )
    refuse_double(Video, team, video.sha256)
    with saving_files() as files:
        with path.open("rb") as content:
            files.save(video.file, name, File(content))
        try:
            with transaction.atomic():
                video.save(force_insert=True)
        except IntegrityError as error:  # the same file, uploaded twice at the same time
            raise Conflict("Your team already has this file.", "file") from error
    return video
