"""What videos and classifiers have in common on their way in: a name for people, no doubles."""

import re
from pathlib import Path, PurePath

from verification.engine.errors import EngineError
from verification.models import Classifier, Team, Video
from verification.services.errors import Conflict, Invalid


def readable_name(filename: str) -> str:
    """The file's own name without folders and control characters, 200 characters at most."""
    name = PurePath(filename.replace("\\", "/")).name
    name = re.sub(r"[\x00-\x1f\x7f]", "", name).strip()
    if not name:
        raise Invalid("The file has no name.", "filename")
    return name[-200:]


def refuse_double(model: type[Video] | type[Classifier], team: Team, sha256: str) -> None:
    """Raise Conflict when the team has this very file already."""
    there = model.objects.filter(team=team, sha256=sha256).first()
    if there is not None:
        raise Conflict(f"Your team already has this file: it is called “{there.name}”.", "file")


def refusal(error: EngineError, path: Path, name: str) -> Invalid:
    """The engine's refusal, which knows the file on disk, in terms of the name that people gave it."""
    return Invalid(sentence(error).replace(path.name, name), "file")


def sentence(error: EngineError) -> str:
    """The engine's message with a capital first letter."""
    message = str(error)
    return message[:1].upper() + message[1:]
