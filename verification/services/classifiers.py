"""Classifiers: loaded once by the engine, then kept."""

from pathlib import Path
from typing import Any, TypedDict, Unpack

from django.contrib.auth.models import User

from verification.engine import network
from verification.engine.errors import EngineError
from verification.models import Classifier, Team
from verification.services import reading
from verification.services.incoming import readable_name, refusal, refuse_double
from verification.services.storing import keep
from verification.services.teams import require_member


class ClassifierOptions(TypedDict, total=False):
    """What a file does not say of its classifier, or says wrong: see `load_classifier`."""

    architecture: str
    labels: list[str]
    frames: int
    size: tuple[int, int]
    channels: str
    sampling: str
    order: str
    value_range: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def create_classifier(
    user: User, team: Team, path: Path, filename: str, **options: Unpack[ClassifierOptions]
) -> Classifier:
    """Keep a copy of the ONNX model or the weights at `path` for `team`. `options` override what the file says of itself.

    Raises Invalid when the engine refuses it, Conflict when the team has it already, NotAllowed.
    """
    require_member(user, team)
    path = Path(path)
    name = readable_name(filename)
    try:
        found = reading.read_classifier(path, name, options)
    except EngineError as error:
        raise refusal(error, path, name) from error
    classifier = Classifier(
        team=team,
        name=name,
        sha256=found["sha256"],
        bytes=path.stat().st_size,
        architecture=found["architecture"],
        labels=found["labels"],
        frames=found["frames"],
        height=found["height"],
        width=found["width"],
        channels=found["channels"],
        sampling=found["sampling"],
        order=found["order"],
        range=found["range"],
        mean=found["mean"],
        deviation=found["deviation"],
        dropped=found["dropped"],
        created_by=user,
    )
    refuse_double(Classifier, team, classifier.sha256)
    keep(classifier, [(classifier.file, path, name)])
    return classifier


def load_stored(classifier: Classifier, frames: int | None = None, sampling: str | None = None) -> network.Classifier:
    """The stored classifier, ready for clips of `frames` frames that are chosen by `sampling`. Raises ClassifierError."""
    told = {"frames": frames, "sampling": sampling}
    options = stored_options(classifier) | {name: value for name, value in told.items() if value is not None}
    return network.load_classifier(classifier.file.path, name=classifier.name, **options)


def stored_options(classifier: Classifier) -> dict[str, Any]:
    """What `load_classifier` has to be told of the stored classifier."""
    return {
        "architecture": None if classifier.architecture == network.ONNX else classifier.architecture,
        "labels": classifier.labels,
        "frames": classifier.frames,
        "size": (classifier.height, classifier.width),
        "channels": classifier.channels,
        "sampling": classifier.sampling,
        "order": classifier.order,
        "value_range": classifier.range,
        "mean": classifier.mean,
        "deviation": classifier.deviation,
    }
