"""Classifiers: loaded once by the engine, then kept."""

from collections.abc import Sequence
from pathlib import Path

from django.contrib.auth.models import User
from django.core.files import File
from django.db import IntegrityError, transaction

from verification.engine import network
from verification.engine.errors import EngineError
from verification.models import Classifier, Team
from verification.services.errors import Conflict
from verification.services.incoming import readable_name, refusal, refuse_double
from verification.services.storing import saving_files
from verification.services.teams import require_member


def create_classifier(
    user: User,
    team: Team,
    path: Path,
    filename: str,
    *,
    architecture: str | None = None,
    labels: Sequence[str] | None = None,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    channels: str | None = None,
    sampling: str | None = None,
    order: str | None = None,
    value_range: str | None = None,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
) -> Classifier:
    """Keep a copy of the ONNX model or the weights at `path` for `team`. The options override what the file says of itself.

    Raises Invalid when the engine refuses it, Conflict when the team has it already, NotAllowed.
    """
    require_member(user, team)
    path = Path(path)
    name = readable_name(filename)
    try:
        loaded = network.load_classifier(
            path,
            architecture=architecture,
            labels=labels,
            frames=frames,
            size=size,
            channels=channels,
            sampling=sampling,
            order=order,
            value_range=value_range,
            mean=mean,
            deviation=deviation,
            name=name,
        )
    except EngineError as error:
        raise refusal(error, path, name) from error
    classifier = Classifier(
        team=team,
        name=name,
        sha256=loaded.sha256,
        bytes=path.stat().st_size,
        architecture=loaded.architecture,
        labels=list(loaded.labels),
        frames=loaded.input.frames,
        height=loaded.input.height,
        width=loaded.input.width,
        channels=loaded.input.channels,
        sampling=loaded.input.sampling,
        order=loaded.input.order,
        range=loaded.input.range,
        mean=loaded.input.mean,
        deviation=loaded.input.deviation,
        created_by=user,
    )
    refuse_double(Classifier, team, classifier.sha256)
    with saving_files() as files:
        with path.open("rb") as content:
            files.save(classifier.file, name, File(content))
        try:
            with transaction.atomic():
                classifier.save(force_insert=True)
        except IntegrityError as error:  # the same file, uploaded twice at the same time
            raise Conflict("Your team already has this file.", "file") from error
    return classifier


def load_stored(classifier: Classifier, frames: int | None = None) -> network.Classifier:
    """The stored classifier, ready for clips of `frames` frames. Raises the engine's ClassifierError."""
    return network.load_classifier(
        classifier.file.path,
        architecture=None if classifier.architecture == network.ONNX else classifier.architecture,
        labels=classifier.labels,
        frames=classifier.frames if frames is None else frames,
        size=(classifier.height, classifier.width),
        channels=classifier.channels,
        sampling=classifier.sampling,
        order=classifier.order,
        value_range=classifier.range,
        mean=classifier.mean,
        deviation=classifier.deviation,
        name=classifier.name,
    )
