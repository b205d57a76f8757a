"""Uploads in pieces: what tus 1.0 asks of the server, the result, and going on after a break."""

import json
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from tests.factories import LABELS, make_classifier_file, make_team, make_user, make_video_file
from tests.web import tus
from verification.models import Classifier, Team, Upload, Video

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(client: Client) -> Team:
    """The team of the person who is logged in with `client`."""
    user = make_user()
    client.force_login(user)
    return make_team(user)


@pytest.fixture
def video_file(tmp_path: Path) -> Path:
    """A real video of a few kilobytes."""
    return make_video_file(tmp_path / "walk in the park.avi")


def test_a_video_arrives_in_pieces(client: Client, team: Team, video_file: Path) -> None:
    answer = tus.upload(client, video_file, kind="video", team=team.pk)
    assert answer.status_code == 204
    assert answer["Tus-Resumable"] == "1.0.0"
    assert answer["Upload-Offset"] == str(video_file.stat().st_size)
    video = Video.objects.get()
    assert json.loads(answer["Upload-Result"]) == {"kind": "video", "id": str(video.pk)}
    assert (video.name, video.team, video.frames) == ("walk in the park.avi", team, 12)
    assert (video.height, video.width, video.fps) == (48, 64, 10.0)
    assert video.file.read() == video_file.read_bytes()
    assert not list(settings.FLOWVERIFY_UPLOADS.iterdir())


def test_a_classifier_arrives_with_its_options(client: Client, team: Team, tmp_path: Path) -> None:
    path = make_classifier_file(tmp_path / "weights.safetensors")
    answer = tus.upload(client, path, kind="classifier", team=team.pk, labels="a\nb\nc\n", size="16x16")
    assert answer.status_code == 204, answer.content
    classifier = Classifier.objects.get()
    assert classifier.labels == ["a", "b", "c"]
    assert (classifier.architecture, classifier.frames, classifier.height) == ("camera_motion", 4, 16)
    assert len(LABELS) == 3


def test_the_only_team_needs_no_name(client: Client, team: Team) -> None:
    assert tus.begin(client, 10, filename="a.avi", kind="video").status_code == 201
    assert Upload.objects.get().team == team


def test_options_need_no_account(client: Client) -> None:
    answer = client.options("/api/v1/uploads/")
    assert answer.status_code == 204
    assert answer["Tus-Version"] == "1.0.0"
    assert answer["Tus-Extension"] == "creation,termination"
    assert int(answer["Tus-Max-Size"]) == settings.FLOWVERIFY_MAX_UPLOAD_BYTES


def test_head_says_where_to_go_on(client: Client, team: Team, video_file: Path) -> None:
    content = video_file.read_bytes()
    location = tus.begin(client, len(content), filename="a.avi", kind="video")["Location"]
    tus.send(client, location, 0, content[:1000])
    answer = tus.ask(client, location)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert (answer["Upload-Offset"], answer["Upload-Length"]) == ("1000", str(len(content)))
    assert "Upload-Result" not in answer
    assert tus.send(client, location, 1000, content[1000:]).status_code == 204
    after = tus.ask(client, location)
    assert json.loads(after["Upload-Result"])["id"] == str(Video.objects.get().pk)
    assert after["Upload-Offset"] == str(len(content))


def test_bytes_of_a_request_that_died_are_not_counted(client: Client, team: Team, video_file: Path) -> None:
    content = video_file.read_bytes()
    location = tus.begin(client, len(content), filename="a.avi", kind="video")["Location"]
    tus.send(client, location, 0, content[:1000])
    with Upload.objects.get().path.open("ab") as file:
        file.write(b"written just before the power went")
    assert tus.send(client, location, 1000, content[1000:]).status_code == 204
    assert Video.objects.get().file.read() == content


@pytest.mark.parametrize("offset", [0, 999, 1001])
def test_another_offset_is_a_conflict(client: Client, team: Team, offset: int) -> None:
    location = tus.begin(client, 5000, filename="a.avi", kind="video")["Location"]
    tus.send(client, location, 0, b"x" * 1000)
    answer = tus.send(client, location, offset, b"y" * 10)
    assert answer.status_code == 409
    assert answer.json() == {"detail": f"The upload stands at byte 1000, not {offset}."}
    assert tus.ask(client, location)["Upload-Offset"] == "1000"


def test_more_bytes_than_announced_are_refused(client: Client, team: Team) -> None:
    location = tus.begin(client, 100, filename="a.avi", kind="video")["Location"]
    assert tus.send(client, location, 0, b"x" * 101).status_code == 413
    assert tus.ask(client, location)["Upload-Offset"] == "0"


def test_another_version_is_refused(client: Client, team: Team) -> None:
    answer = tus.begin(client, 100, version="0.2.2", filename="a.avi", kind="video")
    assert (answer.status_code, answer["Tus-Version"]) == (412, "1.0.0")
    assert not Upload.objects.exists()


def test_another_content_type_is_refused(client: Client, team: Team) -> None:
    location = tus.begin(client, 100, filename="a.avi", kind="video")["Location"]
    assert tus.send(client, location, 0, b"x", content_type="application/json").status_code == 415


def test_what_is_given_up_is_gone(client: Client, team: Team) -> None:
    location = tus.begin(client, 100, filename="a.avi", kind="video")["Location"]
    tus.send(client, location, 0, b"x" * 10)
    assert tus.give_up(client, location).status_code == 204
    assert tus.ask(client, location).status_code == 404
    assert not Upload.objects.exists()
    assert not list(settings.FLOWVERIFY_UPLOADS.iterdir())
