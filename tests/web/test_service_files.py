"""Videos and classifiers come in with their file or not at all."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import models

from tests.factories import make_classifier_file, make_team, make_user, make_video_file
from verification.models import Classifier, Team, Video
from verification.services import classifiers, videos
from verification.services.errors import Conflict, Invalid, NotAllowed

pytestmark = pytest.mark.django_db

Create = Callable[[User, Team, Path, str], Video | Classifier]
Make = Callable[[Path], Path]

KINDS = pytest.mark.parametrize(
    ("create", "make", "name"),
    [
        (videos.create_video, make_video_file, "clip.avi"),
        (classifiers.create_classifier, make_classifier_file, "weights.safetensors"),
    ],
    ids=["video", "classifier"],
)


def media() -> list[Path]:
    """What people have sent; of a video there are pictures as well."""
    files = (path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file())
    return [path for path in files if not path.stem.endswith(("-strip", "-preview"))]


@KINDS
def test_the_file_is_copied_and_described(create: Create, make: Make, name: str, tmp_path: Path) -> None:
    user = make_user()
    team = make_team(user)
    path = make(tmp_path / name)
    kept = create(user, team, path, f"C:\\films\\{name}")
    assert (kept.name, kept.team, kept.created_by, kept.bytes) == (name, team, user, path.stat().st_size)
    assert kept.file.read() == path.read_bytes()
    everything = [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]
    assert {file.stat().st_mode & 0o077 for file in everything} == {0}, "readable by others"


@KINDS
def test_a_stranger_adds_nothing(create: Create, make: Make, name: str, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed):
        create(make_user(), make_team(make_user()), make(tmp_path / name), name)
    assert media() == []


@KINDS
def test_a_row_that_cannot_be_saved_takes_its_file_along(
    create: Create, make: Make, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user()
    team = make_team(user)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(models.Model, "save_base", full)
    with pytest.raises(OSError, match="full"):
        create(user, team, make(tmp_path / name), name)
    assert media() == []


@KINDS
def test_of_two_equal_files_at_once_one_stays(
    create: Create, make: Make, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user()
    team = make_team(user)
    path = make(tmp_path / name)
    create(user, team, path, name)
    for module in (videos, classifiers):  # as if both had looked before either was saved
        monkeypatch.setattr(module, "refuse_double", lambda *args: None)
    with pytest.raises(Conflict, match="already"):
        create(user, team, path, name)
    assert len(media()) == 1


@KINDS
@pytest.mark.parametrize("filename", ["", "   ", "/", "\x00\x1f"])
def test_a_file_needs_a_name(create: Create, make: Make, name: str, filename: str, tmp_path: Path) -> None:
    user = make_user()
    team = make_team(user)
    path = make(tmp_path / name)
    with pytest.raises(Invalid, match="no name"):
        create(user, team, path, filename)
    assert media() == []
