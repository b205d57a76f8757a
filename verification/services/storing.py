"""Files and rows live and die together: a file is written first, and removed again if its row never comes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.files import File
from django.core.files.storage import Storage
from django.db import IntegrityError, transaction
from django.db.models.fields.files import FieldFile

from verification.models import Classifier, Video
from verification.services.errors import Conflict


class SavedFiles:
    """The files that one operation has written so far."""

    def __init__(self) -> None:
        self._written: list[tuple[Storage, str]] = []

    def save(self, field: FieldFile, name: str, content: "File[bytes]") -> None:
        """Write `content` into storage and name it in `field`; the row is saved by the caller."""
        field.save(name, content, save=False)
        self._written.append((field.storage, str(field.name)))

    def discard(self) -> None:
        """Remove everything that was written."""
        for storage, name in self._written:
            storage.delete(name)


@contextmanager
def saving_files() -> Iterator[SavedFiles]:
    """Files saved inside are removed if the block fails. Open no transaction around it: files are slow."""
    files = SavedFiles()
    try:
        yield files
    except BaseException:
        files.discard()
        raise


def keep(row: Video | Classifier, contents: Iterable[tuple[FieldFile, Path, str]]) -> None:
    """Copy files into storage, each into its field and under its name for people, and save the new row with them.

    Raises Conflict, and leaves nothing, where the team has the same file already.
    """
    with saving_files() as files:
        for field, source, name in contents:
            with source.open("rb") as content:
                files.save(field, name, File(content))
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:  # the same file, uploaded twice at the same time
            raise Conflict("Your team already has this file.", "file") from error


def delete_on_commit(field: FieldFile) -> None:
    """Remove the file behind `field` once the transaction that forgets it has succeeded."""
    storage, name = field.storage, field.name
    if name:
        transaction.on_commit(lambda: storage.delete(name), robust=True)
