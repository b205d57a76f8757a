"""Uploads that are refused: the person learns why, and nothing stays behind."""

from datetime import timedelta
from pathlib import Path

import pytest
import torch
from django.conf import settings
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from tests.factories import make_classifier_file, make_team, make_user, make_video_file
from tests.web import tus
from verification.models import Classifier, Team, Upload, Video
from verification.services import tokens, uploads

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(client: Client) -> Team:
    """The team of the person who is logged in with `client`."""
    user = make_user()
    client.force_login(user)
    return make_team(user)


def files() -> list[Path]:
    """All files that this test has left in media and uploads."""
    roots = (Path(settings.MEDIA_ROOT), Path(settings.FLOWVERIFY_UPLOADS))
    return [path for root in roots for path in root.rglob("*") if path.is_file()]


def assert_nothing_left() -> None:
    assert not Upload.objects.exists()
    assert not Video.objects.exists()
    assert not Classifier.objects.exists()
    assert files() == []


@pytest.mark.parametrize(
    ("kind", "name", "content", "words"),
    [
        ("video", "notes.mp4", b"not a video at all" * 100, "notes.mp4 is not a video"),
        (
            "classifier",
            "weights.safetensors",
            b"\x00" * 500,
            "weights.safetensors is neither a safetensors nor an ONNX file",
        ),
        ("classifier", "model.pt", b"PK\x03\x04" + b"\x00" * 500, "pickle"),
    ],
)
def test_a_file_of_another_kind(
    client: Client, team: Team, tmp_path: Path, kind: str, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    answer = tus.upload(client, path, kind=kind)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert_nothing_left()


def test_a_truncated_video(client: Client, team: Team, tmp_path: Path) -> None:
    path = make_video_file(tmp_path / "clip.mp4", frames=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    answer = tus.upload(client, path, kind="video")
    assert answer.status_code == 422
    assert "clip.mp4" in answer.json()["detail"]
    assert_nothing_left()


def test_a_video_of_one_frame(client: Client, team: Team, tmp_path: Path) -> None:
    answer = tus.upload(client, make_video_file(tmp_path / "one.avi", frames=1), kind="video")
    assert answer.status_code == 422
    assert "single frame" in answer.json()["detail"]
    assert_nothing_left()


def test_labels_that_do_not_match(client: Client, team: Team, tmp_path: Path) -> None:
    path = make_classifier_file(tmp_path / "weights.safetensors")
    answer = tus.upload(client, path, kind="classifier", labels='["only", "two"]')
    assert answer.status_code == 422
    assert "2 labels" in answer.json()["detail"]
    assert_nothing_left()


def test_a_program_is_never_accepted(client: Client, team: Team, tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 3 * 16 * 16, 2)).eval()
    program = torch.export.export(network, (torch.rand(1, 4, 3, 16, 16),))
    torch.export.save(program, tmp_path / "actions.pt2")
    answer = tus.upload(client, tmp_path / "actions.pt2", kind="classifier", labels='["a", "b"]')
    assert answer.status_code == 422
    assert_nothing_left()


def test_the_same_file_twice(client: Client, team: Team, tmp_path: Path) -> None:
    path = make_video_file(tmp_path / "clip.avi")
    assert tus.upload(client, path, kind="video").status_code == 204
    answer = tus.upload(client, path, kind="video")
    assert answer.status_code == 422
    assert "already" in answer.json()["detail"]
    assert Video.objects.count() == 1
    assert len([path for path in files() if path.suffix == ".avi"]) == 1


@pytest.mark.parametrize(
    ("length", "values", "status", "words"),
    [
        (0, {"filename": "a.avi", "kind": "video"}, 400, "empty"),
        ("many", {"filename": "a.avi", "kind": "video"}, 400, "Upload-Length"),
        (-5, {"filename": "a.avi", "kind": "video"}, 400, "Upload-Length"),
        (2001, {"filename": "a.avi", "kind": "video"}, 413, "larger"),
        (10, {"filename": "a.avi", "kind": "poem"}, 400, "video or classifier"),
        (10, {"filename": "", "kind": "video"}, 400, "no name"),
        (10, {"filename": "a.avi", "kind": "video", "team": "nonsense"}, 400, "team"),
        (10, {"filename": "a", "kind": "classifier", "labels": "[1, 2]"}, 400, "label"),
        (10, {"filename": "a", "kind": "classifier", "labels": "[oops"}, 400, "JSON"),
        (10, {"filename": "a", "kind": "classifier", "size": "64"}, 400, "64x64"),
        (10, {"filename": "a", "kind": "classifier", "frames": "ten"}, 400, "whole number"),
    ],
)
def test_an_announcement_that_makes_no_sense(
    client: Client,
    team: Team,
    settings: Settings,
    length: int | str,
    values: dict[str, str],
    status: int,
    words: str,
) -> None:
    settings.FLOWVERIFY_MAX_UPLOAD_BYTES = 2000
    answer = tus.begin(client, length, **values)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert_nothing_left()


def test_metadata_that_is_not_base64(client: Client, team: Team) -> None:
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Metadata": "filename %%%"}
    answer = client.post("/api/v1/uploads/", headers=headers)
    assert answer.status_code == 400
    assert "base64" in answer.json()["detail"]


def test_a_name_that_climbs_is_only_a_name(client: Client, team: Team, tmp_path: Path) -> None:
    content = make_video_file(tmp_path / "clip.avi").read_bytes()
    location = tus.begin(client, len(content), filename="../../../etc/passwd.avi", kind="video")["Location"]
    assert tus.send(client, location, 0, content).status_code == 204
    video = Video.objects.get()
    assert video.name == "passwd.avi"
    assert video.file.name == f"teams/{team.pk}/videos/{video.pk}.avi"


def test_a_team_of_others_is_refused(client: Client, team: Team) -> None:
    other = make_team(make_user())
    answer = tus.begin(client, 10, filename="a.avi", kind="video", team=other.pk)
    assert (answer.status_code, answer.json()) == (400, {"detail": "You are not a member of such a team."})
    assert_nothing_left()


def test_a_colleague_does_not_see_my_upload(client: Client, team: Team) -> None:
    location = tus.begin(client, 10, filename="a.avi", kind="video")["Location"]
    colleague = Client()
    colleague.force_login(make_user(team=team))
    assert tus.ask(colleague, location).status_code == 404
    assert tus.send(colleague, location, 0, b"x").status_code == 404
    assert tus.give_up(colleague, location).status_code == 404
    assert tus.ask(client, location)["Upload-Offset"] == "0"


def test_a_visitor_is_asked_to_log_in() -> None:
    assert tus.begin(Client(), 10, filename="a.avi", kind="video").status_code == 401


def test_a_session_needs_the_csrf_token(team: Team) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(team.members.get())
    assert tus.begin(careful, 10, filename="a.avi", kind="video").status_code == 403
    assert_nothing_left()


def test_a_token_needs_no_csrf_token(team: Team) -> None:
    _, plain = tokens.create_token(team.members.get(), "script")
    script = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {plain}"})
    assert tus.begin(script, 10, filename="a.avi", kind="video").status_code == 201


def test_abandoned_uploads_are_removed_by_the_next(client: Client, team: Team) -> None:
    tus.begin(client, 10, filename="old.avi", kind="video")
    long_ago = timezone.now() - uploads.ABANDONED - timedelta(seconds=1)
    Upload.objects.update(updated_at=long_ago)
    tus.begin(client, 10, filename="new.avi", kind="video")
    assert [upload.filename for upload in Upload.objects.all()] == ["new.avi"]
    assert len(files()) == 1


def test_open_uploads_are_limited_and_forgotten_ones_make_room(
    client: Client, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_OPEN", 2)
    for name in ("closed tab.avi", "sending.avi"):
        assert tus.begin(client, 10, filename=name, kind="video").status_code == 201
    refused = tus.begin(client, 10, filename="third.avi", kind="video")
    assert refused.status_code == 429
    assert "finish or cancel some" in refused.json()["detail"]
    assert len(files()) == 2

    Upload.objects.filter(filename="closed tab.avi").update(updated_at=timezone.now() - uploads.RESTED)
    assert tus.begin(client, 10, filename="third.avi", kind="video").status_code == 201
    assert {upload.filename for upload in Upload.objects.all()} == {"sending.avi", "third.avi"}
    assert len(files()) == 2


def test_two_writers_at_once(client: Client, team: Team) -> None:
    location = tus.begin(client, 10, filename="a.avi", kind="video")["Location"]
    upload = Upload.objects.get()

    class Slow:
        """A body during which another request arrives."""

        def read(self, size: int) -> bytes:
            assert tus.send(client, location, 0, b"y").status_code == 423
            return b""

    uploads.append(upload, 0, Slow())
    assert tus.send(client, location, 0, b"y").status_code == 204
