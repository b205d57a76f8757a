"""A classifier is looked at before it is kept: proposed, tried on a video, corrected, saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from onnx import numpy_helper

from tests.engine.onnx_models import classifier_model
from tests.factories import make_classifier_file, make_team, make_user, make_video
from tests.web import tus
from verification.engine.errors import UnavailableError
from verification.models import Classifier, Team, Upload
from verification.services import reading, uploads, videos

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "walk.onnx"
    path.write_bytes(classifier_model(shape=(1, 4, 3, 16, 16)).SerializeToString())
    return path


def held(client: Client, path: Path) -> str:
    """Send it; the address of the upload."""
    answer = tus.upload(client, path, kind="classifier", hold="yes")
    assert answer.status_code == 204, answer.content
    assert "Upload-Result" not in answer
    return f"/api/v1/uploads/{Upload.objects.get().pk}/"


def post(client: Client, path: str, **said: object) -> Any:
    return client.post(path, said, content_type="application/json")


def test_nothing_is_kept_until_it_is_saved(client: Client, team: Team, model: Path) -> None:
    upload = held(client, model)
    assert not Classifier.objects.exists()

    proposal = post(client, f"{upload}proposal/").json()

    assert proposal["labels"] == ["class 0", "class 1", "class 2"]
    assert (proposal["frames"], proposal["height"], proposal["width"]) == (4, 16, 16)
    assert (proposal["order"], proposal["range"], proposal["channels"]) == ("ntchw", "0..1", "rgb")
    assert not Classifier.objects.exists()

    answer = post(client, f"{upload}save/", labels="walks\nruns\nstands", range="0..255")

    assert answer.status_code == 201
    kept = Classifier.objects.get()
    assert answer.json() == {"kind": "classifier", "id": str(kept.pk)}
    assert (kept.labels, kept.range) == (["walks", "runs", "stands"], "0..255")
    assert list(Path(settings.FLOWVERIFY_UPLOADS).glob("*.part")) == []


def test_the_classes_of_a_video_are_told_and_change_with_what_is_said(client: Client, team: Team, model: Path) -> None:
    upload, video = held(client, model), make_video(team, frames=20)

    def classes(**said: object) -> dict[str, float]:
        proposal = post(client, f"{upload}proposal/", video=str(video.pk), **said).json()
        return dict(proposal["classes"])

    plain = classes()
    assert set(plain) == {"class 0", "class 1", "class 2"}
    assert sum(plain.values()) == pytest.approx(1)
    assert list(plain.values()) == sorted(plain.values(), reverse=True)
    assert set(classes(labels='["a", "b", "c"]')) == {"a", "b", "c"}
    assert classes(range="0..255") != plain


def test_a_mistake_is_told_and_the_upload_stays(client: Client, team: Team, model: Path) -> None:
    upload = held(client, model)

    for path in ("proposal/", "save/"):
        refused = post(client, upload + path, labels="only\ntwo")
        assert refused.status_code == (422 if path == "proposal/" else 400)
        assert "2 labels" in refused.json()["detail"]
    assert post(client, f"{upload}save/", mean="1, 2").status_code == 400
    assert post(client, f"{upload}save/").status_code == 400, "classes without names"

    assert post(client, f"{upload}save/", labels="a\nb\nc").status_code == 201


def test_what_is_no_classifier_is_told(client: Client, team: Team, tmp_path: Path) -> None:
    (tmp_path / "poem.onnx").write_bytes(b"no model at all")
    upload = held(client, tmp_path / "poem.onnx")
    answer = post(client, f"{upload}proposal/")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("poem.onnx")
    assert tus.give_up(client, upload).status_code == 204
    assert list(Path(settings.FLOWVERIFY_UPLOADS).glob("*.part")) == []


@pytest.mark.parametrize("labels", ['["\\ud800", "b", "c"]', "[" * 50_000, '["a\\u0000", "b", "c"]'])
def test_labels_that_would_break_every_list(client: Client, team: Team, model: Path, labels: str) -> None:
    upload = held(client, model)
    for path in ("proposal/", "save/"):
        assert post(client, upload + path, labels=labels).status_code in {400, 422}
    assert client.get("/api/v1/classifiers/").json()["count"] == 0


def test_values_that_are_not_finite_are_told(client: Client, team: Team, tmp_path: Path) -> None:
    model = classifier_model(shape=(1, 4, 3, 16, 16))
    for constant in model.graph.initializer:
        values = numpy_helper.to_array(constant)
        constant.CopyFrom(numpy_helper.from_array(np.full_like(values, 1.2e38), constant.name))
    (tmp_path / "huge.onnx").write_bytes(model.SerializeToString())
    np.save(tmp_path / "white.npy", np.full((9, 16, 16, 3), 255, np.uint8))
    video = videos.create_video(User.objects.get(), team, tmp_path / "white.npy", "white.npy")

    answer = post(client, f"{held(client, tmp_path / 'huge.onnx')}proposal/", video=str(video.pk))

    assert answer.status_code == 422
    assert "not finite" in answer.json()["detail"]


def test_what_is_being_saved_cannot_be_aborted(
    client: Client, team: Team, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, create, aborted = held(client, model), uploads.create_classifier, []

    def slow(*args: Any, **kwargs: Any) -> Classifier:
        aborted.append(tus.give_up(client, upload).status_code)
        return create(*args, **kwargs)

    monkeypatch.setattr(uploads, "create_classifier", slow)
    assert post(client, f"{upload}save/", labels="a\nb\nc").status_code == 201
    assert aborted == [423]
    assert Classifier.objects.count() == 1


def test_what_the_server_cannot_do_now_costs_no_upload(
    client: Client, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_classifier_file(tmp_path / "weights.safetensors")

    def busy(*args: Any, **kwargs: Any) -> Any:
        raise UnavailableError("the server is busy with other files; try again in a moment")

    monkeypatch.setattr(reading, "run_apart", busy)
    content = path.read_bytes()
    location = tus.begin(client, len(content), filename=path.name, kind="classifier")["Location"]
    answer = tus.send(client, location, 0, content)
    assert answer.status_code == 503
    assert "try again" in answer.json()["detail"]
    monkeypatch.undo()
    assert tus.send(client, location, 0, content).status_code == 204
    assert Classifier.objects.count() == 1


def test_saving_twice_is_a_conflict(client: Client, team: Team, tmp_path: Path) -> None:
    upload = held(client, make_classifier_file(tmp_path / "weights.safetensors"))
    assert post(client, f"{upload}save/").status_code == 201
    assert post(client, f"{upload}save/").status_code == 400
    assert Classifier.objects.count() == 1


def test_what_is_not_whole_is_neither_read_nor_saved(client: Client, team: Team, model: Path) -> None:
    location = tus.begin(client, 1000, filename="a.onnx", kind="classifier", hold="yes")["Location"]
    assert post(client, f"{location}proposal/").status_code == 400
    assert post(client, f"{location}save/").status_code == 400


def test_strangers_neither_see_nor_save_it(client: Client, team: Team, model: Path) -> None:
    upload = held(client, model)
    stranger = make_user()
    make_team(stranger)
    other = Client()
    other.force_login(stranger)
    for path in ("proposal/", "save/"):
        assert post(other, upload + path).status_code == 404
        assert post(Client(), upload + path).status_code in {401, 403}


def test_a_video_of_another_team_does_not_exist(client: Client, team: Team, model: Path) -> None:
    upload, video = held(client, model), make_video(make_team(make_user()))
    assert post(client, f"{upload}proposal/", video=str(video.pk)).status_code == 400


def test_videos_are_not_held(client: Client, user: User, team: Team, tmp_path: Path) -> None:
    from tests.factories import make_video_file

    path = make_video_file(tmp_path / "clip.avi")
    answer = tus.upload(client, path, kind="video", hold="yes")
    assert "Upload-Result" in answer
    assert videos.sample(team.videos.get(), 4, "uniform") == [1, 5, 8, 12]
