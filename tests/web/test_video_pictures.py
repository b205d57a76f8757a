"""Pictures of videos: made when a video comes, shown to its team only, gone with it; and which frames would make a clip."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import make_team, make_user, make_video, make_video_file
from tests.web import tus
from verification.engine import probe_video
from verification.models import Team, Video
from verification.services import deleting, videos

pytestmark = pytest.mark.django_db


@pytest.fixture
def video(user: User, team: Team, tmp_path: Path) -> Video:
    path = make_video_file(tmp_path / "v_Walking_g03_c02.avi", frames=30, size=(48, 64), fps=10.0)
    return videos.create_video(user, team, path, path.name)


def address(video: Video, what: str = "") -> str:
    return f"/api/v1/videos/{video.pk}/{what}"


def picture(content: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def body(answer: object) -> bytes:
    return b"".join(answer.streaming_content) if getattr(answer, "streaming", False) else answer.content  # type: ignore[attr-defined]


def test_a_video_comes_with_a_strip_and_a_small_copy(client: Client, video: Video, tmp_path: Path) -> None:
    found = client.get(address(video)).json()
    assert found["class_name"] == "Walking"

    strip, preview = client.get(found["strip"]), client.get(found["preview"])

    assert strip["Content-Type"] == "image/jpeg"
    assert picture(body(strip)).shape == (120, 8 * 160, 3)
    assert preview["Content-Type"] == "video/webm"
    (tmp_path / "copy.webm").write_bytes(body(preview))
    info = probe_video(tmp_path / "copy.webm")
    assert (info.frames, info.height, info.width) == (30, 48, 64)


def test_the_small_copy_can_be_read_from_the_middle(client: Client, video: Video) -> None:
    answer = client.get(address(video, "preview/"), headers={"Range": "bytes=10-19"})
    assert answer.status_code == 206
    assert len(body(answer)) == 10


def test_a_range_of_absurd_numbers_is_ignored(client: Client, video: Video) -> None:
    answer = client.get(address(video, "preview/"), headers={"Range": f"bytes={'9' * 5000}-"})
    assert answer.status_code == 200
    body(answer)


def test_a_video_from_before_has_no_pictures(client: Client, team: Team) -> None:
    old = make_video(team)
    assert client.get(address(old)).json()["strip"] is None
    assert client.get(address(old, "strip/")).status_code == 404
    assert client.get(f"/videos/{old.pk}/").status_code == 200


def test_pictures_go_with_the_video(user: User, video: Video, django_capture_on_commit_callbacks: object) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        deleting.delete_video(user, video)
    assert [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("what", ["strip/", "preview/", "sample/?frames=4", "frames/?numbers=1,2", "flow/?first=1"])
def test_strangers_see_nothing(video: Video, what: str) -> None:
    stranger = make_user()
    make_team(stranger)
    other = Client()
    other.force_login(stranger)
    assert other.get(address(video, what)).status_code == 404
    assert Client().get(address(video, what)).status_code in {401, 403, 404}


def test_the_sample_says_which_frames_make_a_clip(client: Client, video: Video) -> None:
    answer = client.get(address(video, "sample/?frames=4&sampling=floor&first=11&last=30")).json()
    assert answer == {"numbers": [11, 16, 21, 26], "seconds": [1.0, 1.5, 2.0, 2.5]}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("frames=31", "has 30 frames to choose from"),
        ("frames=4&first=29", "has 2 frames to choose from"),
        ("frames=4&last=31", "last frame must be at most 30"),
        ("frames=4&sampling=poem", "no sampling"),
        ("frames=4&sampling=fps:1e-320", "0.001 to 1000"),
        ("frames=4&sampling=fps:10." + "0" * 90, "longer than 20"),
        ("frames=4&first=0", "first frame must lie between"),
        ("", "required"),
    ],
)
def test_impossible_samples(client: Client, video: Video, query: str, words: str) -> None:
    answer = client.get(address(video, f"sample/?{query}"))
    assert answer.status_code == 400
    assert words in answer.content.decode()


def test_chosen_frames_side_by_side(client: Client, video: Video) -> None:
    answer = client.get(address(video, "frames/?numbers=1,9,30"))
    assert picture(answer.content).shape == (84, 3 * 112, 3)


@pytest.mark.parametrize("numbers", ["0", "31", "2,1", "1,1", "a", "", ",".join(map(str, range(1, 70)))])
def test_frames_that_cannot_be_drawn(client: Client, video: Video, numbers: str) -> None:
    assert client.get(address(video, f"frames/?numbers={numbers}")).status_code == 400


def test_the_flow_between_two_frames(client: Client, user: User, team: Team, tmp_path: Path) -> None:
    # A texture that moves 3 pixels to the right.
    texture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 200, 3), dtype=np.uint8), (0, 0), 2)
    np.save(tmp_path / "pan.npy", np.stack([texture[:, 30 - 3 * i : 158 - 3 * i] for i in range(5)]))
    video = videos.create_video(user, team, tmp_path / "pan.npy", "pan.npy")

    answer = client.get(address(video, "flow/?first=2")).json()

    assert (answer["height"], answer["width"]) == (64, 128)
    assert answer["median"] == pytest.approx(3, abs=0.3)
    assert set(answer["pictures"]) == {"frame", "arrows", "direction", "magnitude"}
    assert all(data.startswith("data:image/png;base64,iVBOR") for data in answer["pictures"].values())
    further = client.get(address(video, "flow/?first=1&second=3")).json()
    assert further["median"] == pytest.approx(6, abs=0.6)


@pytest.mark.parametrize("query", ["first=30", "first=0", "first=5&second=5", "first=5&second=31", "first=x"])
def test_flow_between_frames_that_are_not_there(client: Client, video: Video, query: str) -> None:
    assert client.get(address(video, f"flow/?{query}")).status_code == 400


def test_a_class_can_be_said_with_the_upload(client: Client, team: Team, tmp_path: Path) -> None:
    path = make_video_file(tmp_path / "clip.avi")
    assert tus.upload(client, path, kind="video", class_name="Diving").status_code == 204
    assert Video.objects.get().class_name == "Diving"


def test_a_file_that_is_a_clip_of_numbers(client: Client, team: Team, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(0).random((6, 24, 32, 3)).astype(np.float32))
    (tmp_path / "clip.npy").write_bytes(buffer.getvalue())
    assert tus.upload(client, tmp_path / "clip.npy", kind="video").status_code == 204
    kept = Video.objects.get()
    assert (kept.frames, kept.fps, kept.seconds) == (6, 0.0, None)
    assert "no frame rate is known" in client.get(f"/videos/{kept.pk}/").content.decode()
