"""What videos and classifiers have in common on their way in: a name for people, no doubles."""

import re
from pathlib import Path, PurePath

from verification.engine.errors import EngineError, UnavailableError
from verification.models import Classifier, Team, Video
from verification.services.errors import Conflict, Invalid, Unavailable


def readable_name(filename: str) -> str:
    """The file's own name without folders and control characters, 200 characters at most."""
    name = PurePath(filename.replace("\\", "/")).name
    name = plain(name)
    if not name:
        raise Invalid("The file has no name.", "filename")
    return name[-200:]


def plain(text: str) -> str:
    """Without control characters, and with a question mark for what is no text."""
    text = text.encode("utf-8", "replace").decode()
    return re.sub(r"[\x00-\x1f\x7f]", "", text).strip()


def refuse_double(model: type[Video] | type[Classifier], team: Team, sha256: str) -> None:
    """Raise Conflict when the team has this very file already."""
    there = model.objects.filter(team=team, sha256=sha256).first()
    if there is not None:
        raise Conflict(f"Your team already has this file: it is called “{there.name}”.", "file")


def refusal(error: EngineError, path: Path, name: str, field: str = "file") -> Invalid | Unavailable:
    """The engine's refusal of the file at `path`, which people know as `name`."""
    if isinstance(error, UnavailableError):
        return Unavailable(sentence(error))
    message = str(error).replace(path.name, name)
    return Invalid(message if message.startswith(name) else _capital(message), field)


def sentence(error: EngineError | str) -> str:
    """The engine's message with a capital first letter."""
    return _capital(str(error))


def _capital(message: str) -> str:
    return message[:1].upper() + message[1:]
