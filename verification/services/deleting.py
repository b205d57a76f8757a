"""Deleting for good: rows first, their files once the database has forgotten them."""

from typing import TypeVar

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import ProtectedError
from django.db.models.fields.files import FieldFile

from verification.models import Classifier, Verification, Video
from verification.services.errors import Conflict
from verification.services.storing import delete_on_commit
from verification.services.teams import require_member

Source = TypeVar("Source", Video, Classifier)


def delete_verification(user: User, verification: Verification) -> None:
    """Delete the verification with everything that it recorded; its share links open nothing any more.

    Raises Conflict while it is queued or running, NotAllowed.
    """
    require_member(user, verification.team)
    with transaction.atomic():
        row = Verification.objects.select_for_update().get(pk=verification.pk)
        if row.is_open:
            raise Conflict("This verification has not ended yet: cancel it first, then delete it.")
        for artifact in row.artifacts.all():
            delete_on_commit(artifact.file)
        delete_on_commit(row.checkpoint)
        row.delete()


def delete_video(user: User, video: Video) -> None:
    """Delete the video. Raises Conflict while a verification names it, NotAllowed."""
    require_member(user, video.team)
    _delete(video)


def delete_classifier(user: User, classifier: Classifier) -> None:
    """Delete the classifier. Raises Conflict while a verification names it, NotAllowed."""
    require_member(user, classifier.team)
    _delete(classifier)


def _files(source: Video | Classifier) -> list[FieldFile]:
    return [source.file, source.strip, source.preview] if isinstance(source, Video) else [source.file]


def _delete(source: Source) -> None:
    try:
        with transaction.atomic():
            for file in _files(source):
                delete_on_commit(file)
            source.delete()
    except ProtectedError as error:
        used = len(error.protected_objects)
        who = "A verification uses" if used == 1 else f"{used} verifications use"
        raise Conflict(f"{who} “{source.name}”: delete what uses it first.") from error
