"""`manage.py import_videos`: a folder becomes a library, once, whatever happens on the way."""

import io
import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from tests.factories import make_team, make_user, make_video_file
from verification.models import Team, Video
from verification.services import videos

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two UCF101 names, one in a folder of its class, one without, and what is no video."""
    root = tmp_path / "films"
    names = ["v_Diving_g01_c01.avi", "v_Biking_g02_c03.avi", "running/one.mp4", "two.avi"]
    for seed, name in enumerate(names):
        make_video_file(root / name, seed=seed)
    (root / "notes.txt").write_text("no video")
    (root / ".hidden.avi").write_bytes(b"no video either")
    return root


def run(folder: Path, **options: Any) -> str:
    out = io.StringIO()
    call_command("import_videos", str(folder), stdout=out, **options)
    return out.getvalue()


def test_a_folder_is_imported_with_its_classes(user: User, team: Team, folder: Path) -> None:
    assert "4 imported, 0 there already, 0 refused" in run(folder)
    assert dict(Video.objects.values_list("name", "class_name")) == {
        "v_Diving_g01_c01.avi": "Diving",
        "v_Biking_g02_c03.avi": "Biking",
        "one.mp4": "running",
        "two.avi": "",
    }


def test_classes_can_be_left_out(user: User, team: Team, folder: Path) -> None:
    run(folder, no_classes=True)
    assert set(Video.objects.values_list("class_name", flat=True)) == {""}


def test_the_same_again_adds_nothing(user: User, team: Team, folder: Path) -> None:
    run(folder)
    (folder / "copy.avi").write_bytes((folder / "two.avi").read_bytes())
    assert "0 imported, 5 there already, 0 refused" in run(folder)
    assert Video.objects.count() == 4


def test_an_import_that_was_stopped_goes_on(
    user: User, team: Team, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, left = videos.create_video, [2]

    def stopping(*args: Any, **kwargs: Any) -> Video:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return create(*args, **kwargs)

    monkeypatch.setattr(videos, "create_video", stopping)
    with pytest.raises(CommandError, match="stopped after 2 new videos; run it again to go on"):
        run(folder)
    monkeypatch.undo()
    assert "2 imported, 2 there already" in run(folder)


def test_what_cannot_be_read_is_told_and_the_rest_comes(
    user: User, team: Team, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.mp4").write_bytes(b"no video at all")
    with pytest.raises(CommandError, match="1 of 5 files were refused"):
        run(folder)
    assert "broken.mp4: broken.mp4 is not a video that can be read" in capfd.readouterr().err
    assert Video.objects.count() == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [({"user": "nobody"}, "no active user 'nobody'"), ({"team": "none"}, "say with --team")],
)
def test_unknown_people_and_teams(user: User, team: Team, folder: Path, options: dict[str, str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run(folder, **options)


def test_of_several_teams_one_must_be_named(user: User, team: Team, folder: Path) -> None:
    other = make_team(user)
    with pytest.raises(CommandError, match="say with --team"):
        run(folder)
    run(folder, team=str(other.pk))
    assert set(Video.objects.values_list("team", flat=True)) == {other.pk}


def test_a_user_without_a_team(folder: Path) -> None:
    make_user("alone")
    with pytest.raises(CommandError, match="alone is in no team"):
        run(folder, user="alone")


def test_folders_without_videos(user: User, team: Team, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match=r"no videos in .*empty"):
        run(tmp_path / "empty")
    with pytest.raises(CommandError, match="no folder"):
        run(tmp_path / "missing")


def test_a_name_that_is_no_text_is_refused_with_the_reason(
    user: User, team: Team, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "two.avi").rename(folder / os.fsdecode(b"tw\xf6.avi"))
    with pytest.raises(CommandError, match="1 of 4 files were refused"):
        run(folder)
    assert "name of tw?.avi is not valid UTF-8" in capsys.readouterr().err
    assert Video.objects.count() == 3
