"""Files that arrive in pieces. They gather outside of storage, and become a video or a classifier."""

import fcntl
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone

from verification.engine.errors import EngineError
from verification.models import Classifier, Team, Upload, Video
from verification.services import reading
from verification.services.classifiers import ClassifierOptions, create_classifier
from verification.services.errors import Conflict, Invalid, ServiceError, Unavailable
from verification.services.incoming import readable_name, refusal
from verification.services.teams import require_member
from verification.services.videos import create_video

BLOCK = 1024 * 1024
#: An upload that has not moved for so long is not going to.
ABANDONED = timedelta(days=3)
#: Uploads of one person that may be open at once. Beyond, those make room that have rested for long: tabs that were
#: closed leave uploads that nobody finds again.
MOST_OPEN = 50
RESTED = timedelta(hours=1)
#: Left free on the disk for the database and the worker.
SPARE_BYTES = 256 * 1024**2


class Readable(Protocol):
    """The part of a file, or of a request, that is needed here."""

    def read(self, size: int, /) -> bytes: ...


class TooLarge(ServiceError):
    """More bytes than may come."""


class TooMany(ServiceError):
    """The person has too many uploads that are neither finished nor cancelled."""


class Refused(Invalid):
    """The file came whole but cannot be used; the message says why."""


class WrongOffset(Conflict):
    """The bytes do not follow on those that are there; the message says how many are."""


class Busy(Conflict):
    """Another request is writing to the same upload."""


def begin(user: User, team: Team, kind: str, filename: str, length: int, metadata: dict[str, str]) -> Upload:
    """Announce a file of `length` bytes. `metadata`: a video's `class_name`, or options as in `classifier_options`.

    A classifier whose metadata hold `hold` is not made when it is complete: see `propose` and `save`.

    Raises Invalid, TooLarge, TooMany, NotAllowed.
    """
    require_member(user, team)
    remove_abandoned()
    if kind not in Upload.Kind.values:
        raise Invalid(f"Send the kind as video or classifier, not “{kind}”.", "kind")
    name = readable_name(filename)
    if length <= 0:
        raise Invalid(f"{name} is empty.", "file")
    if length > settings.FLOWVERIFY_MAX_UPLOAD_BYTES:
        most = settings.FLOWVERIFY_MAX_UPLOAD_BYTES / 1e6
        raise TooLarge(f"{name} is larger than the {most:.0f} MB that this server accepts.", "file")
    settings.FLOWVERIFY_UPLOADS.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Twice: it is copied into storage while the pieces still lie here.
    if shutil.disk_usage(settings.FLOWVERIFY_UPLOADS).free < 2 * length + SPARE_BYTES:
        raise TooLarge(f"The server's disk has no room for {name}.", "file")
    if kind == Upload.Kind.CLASSIFIER and not metadata.get(Upload.HOLD):
        classifier_options(metadata)  # a mistake is better told before the file is sent
    _make_room(user)
    upload = Upload(team=team, user=user, kind=kind, filename=name, length=length, metadata=metadata)
    upload.path.touch(mode=0o600)
    try:
        upload.save(force_insert=True)
    except BaseException:
        upload.path.unlink()
        raise
    return upload


def append(upload: Upload, offset: int, stream: Readable) -> Video | Classifier | None:
    """Write what `stream` holds at `offset`, where the upload must stand; the last byte makes it what it is.

    Whatever came before `stream` broke off is kept. An upload that is refused as a whole is removed. Raises
    WrongOffset, Busy, TooLarge, or `Refused`.
    """
    with _locked(upload) as file:
        if offset != upload.offset:
            raise WrongOffset(f"The upload stands at byte {upload.offset}, not {offset}.")
        file.seek(offset)
        file.truncate()  # bytes of a request that died before its offset was recorded
        try:
            _copy(stream, file, upload.length - offset)
        finally:
            file.flush()
            received = file.tell()
            # The last piece counts once the result is there: after a crash in between it is sent again.
            if received < upload.length:
                upload.offset = received
                upload.save(update_fields=["offset", "updated_at"])
        return _complete(upload) if received == upload.length else None


def propose(upload: Upload, options: ClassifierOptions, video: Video | None = None) -> dict[str, Any]:
    """What the engine makes of a classifier that is held, with `options` where the file is silent or wrong.

    See `tasks.inspect_classifier`; `video`: for which its classes are told. Nothing is saved. Raises Refused, Conflict.
    """
    _require_held(upload)
    upload.save(update_fields=["updated_at"])  # somebody works on it: it is not abandoned
    clip = None if video is None else Path(video.file.path)
    try:
        return reading.read_classifier(upload.path, upload.filename, options, clip, invent_labels=True)
    except EngineError as error:
        refused = refusal(error, upload.path, upload.filename)
        raise refused if isinstance(refused, Unavailable) else Refused(refused.message) from error


def save(upload: Upload, options: ClassifierOptions) -> Classifier:
    """Keep the classifier that is held. A refusal leaves the upload for another try. Raises Invalid, Conflict, NotAllowed."""
    with _locked(upload):
        _require_held(upload)
        classifier = create_classifier(upload.user, upload.team, upload.path, upload.filename, **options)
        _finish(upload, classifier)
    return classifier


def _require_held(upload: Upload) -> None:
    if not upload.held or upload.offset < upload.length or upload.result_id is not None:
        raise Conflict("This upload is not complete, or has been saved already.")


def abort(upload: Upload) -> None:
    """Forget the upload and its bytes. Raises Busy while they are being written or saved."""
    if upload.path.exists():
        with _locked(upload):
            _forget(upload)
    else:
        _forget(upload)


def _forget(upload: Upload) -> None:
    upload.path.unlink(missing_ok=True)
    upload.delete()


def remove_abandoned() -> None:
    """Forget all uploads that have not moved for `ABANDONED`."""
    _abort_all(Upload.objects.filter(updated_at__lt=timezone.now() - ABANDONED))


def _make_room(user: User) -> None:
    """For one more open upload of the person. Raises TooMany."""
    unfinished = Upload.objects.filter(user=user, result_id__isnull=True).order_by("updated_at")
    surplus = unfinished.count() - MOST_OPEN + 1
    if surplus > 0:
        _abort_all(unfinished.filter(updated_at__lt=timezone.now() - RESTED)[:surplus])
        if unfinished.count() >= MOST_OPEN:
            raise TooMany(f"{MOST_OPEN} of your uploads are open; finish or cancel some before you begin others.")


def _abort_all(uploads: QuerySet[Upload]) -> None:
    for upload in uploads:
        with suppress(Conflict):  # it moves after all, or is gone already
            abort(upload)


def classifier_options(metadata: dict[str, str]) -> ClassifierOptions:
    """Options from texts: `labels` as a JSON list or one a line, `size` as HxW, `mean` and `std` as three numbers. Empty ones are
    left out.

    Raises Invalid.
    """
    options: ClassifierOptions = {}
    if metadata.get("order"):
        options["order"] = metadata["order"]
    if metadata.get("range"):
        options["value_range"] = metadata["range"]
    if metadata.get("mean"):
        options["mean"] = three_numbers(metadata["mean"], "mean")
    if metadata.get("std"):
        options["deviation"] = three_numbers(metadata["std"], "std")
    if metadata.get("architecture"):
        options["architecture"] = metadata["architecture"]
    if metadata.get("channels"):
        options["channels"] = metadata["channels"]
    if metadata.get("sampling"):
        options["sampling"] = metadata["sampling"]
    if metadata.get("labels"):
        options["labels"] = _labels(metadata["labels"])
    if metadata.get("frames"):
        options["frames"] = _number(metadata["frames"], "frames")
    if metadata.get("size"):
        height, _, width = metadata["size"].lower().partition("x")
        options["size"] = _number(height, "size"), _number(width, "size")
    return options


def three_numbers(text: str, field: str) -> tuple[float, ...]:
    """One number for each channel, divided by commas or blanks. Raises Invalid."""
    try:
        numbers = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise Invalid(
            f"Write three numbers, one for each channel, such as 0.485, 0.456, 0.406, not “{text[:60]}”.", field
        )
    return numbers


def _copy(stream: Readable, file: BinaryIO, room: int) -> None:
    while block := stream.read(BLOCK):
        if len(block) > room:
            raise TooLarge("More bytes came than were announced.")
        file.write(block)
        room -= len(block)


def _complete(upload: Upload) -> Video | Classifier | None:
    """Make the video or classifier, unless it is held. The row stays: a client that missed the answer can ask for the result."""
    if upload.held:
        upload.offset = upload.length
        upload.save(update_fields=["offset", "updated_at"])
        return None
    try:
        result = _create(upload)
    except Unavailable:
        raise  # the last piece is not recorded: it is sent again
    except ServiceError as error:
        _forget(upload)
        raise Refused(error.message, error.field) from error
    _finish(upload, result)
    return result


def _finish(upload: Upload, result: Video | Classifier) -> None:
    upload.offset = upload.length
    upload.result_id = result.pk
    upload.save(update_fields=["offset", "result_id", "updated_at"])
    upload.path.unlink(missing_ok=True)


def _create(upload: Upload) -> Video | Classifier:
    if upload.kind == Upload.Kind.VIDEO:
        class_name = upload.metadata.get("class_name")
        return create_video(upload.user, upload.team, upload.path, upload.filename, class_name)
    options = classifier_options(upload.metadata)
    return create_classifier(upload.user, upload.team, upload.path, upload.filename, **options)


def _labels(text: str) -> list[str]:
    if not text.lstrip().startswith("["):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        labels = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid("The labels are not valid JSON; send a list of names, or one name a line.", "labels") from error
    if not all(isinstance(label, str) for label in labels):
        raise Invalid("Each label must be a name in quotes.", "labels")
    return list(labels)


def _number(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        wanted = "height and width such as 64x64" if field == "size" else "a whole number"
        raise Invalid(f"Send the {field} as {wanted}.", field)
    return int(text)


@contextmanager
def _locked(upload: Upload) -> Iterator[BinaryIO]:
    """The file of the upload, open for one writer in all processes."""
    try:
        file = upload.path.open("r+b")
    except FileNotFoundError as error:
        raise Conflict("This upload is complete, or was aborted.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy("Another request is writing to this upload; wait until it has ended.") from error
        try:
            upload.refresh_from_db()
        except Upload.DoesNotExist as error:
            raise Conflict("This upload was aborted.") from error
        yield file
