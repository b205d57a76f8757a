"""ONNX classifiers on their way through the site: uploaded, described, verified, and exported from the command line."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from onnx import helper

from tests.engine.onnx_models import classifier_model
from tests.factories import make_video, make_video_file
from verification.engine import load_classifier
from verification.models import Classifier, Team
from verification.reports.commands import verify_command
from verification.services.classifiers import create_classifier, load_stored
from verification.services.errors import Invalid
from verification.services.uploads import classifier_options
from verification.services.verifications import create_verification

pytestmark = pytest.mark.django_db
LABELS = ["walks", "runs", "stands"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "walk.onnx"
    path.write_bytes(classifier_model(shape=(1, 4, 3, 16, 16)).SerializeToString())
    return path


@pytest.fixture
def stored(user: User, team: Team, model: Path) -> Classifier:
    options: dict[str, Any] = {"labels": LABELS, "value_range": "0..255", "mean": (1.0, 2.0, 3.0)}
    return create_classifier(user, team, model, "walk.onnx", **options)


def test_it_is_kept_with_all_that_was_said_of_it(stored: Classifier) -> None:
    stored.refresh_from_db()
    assert str(stored.file.name).endswith(f"{stored.pk}.onnx")
    assert (stored.architecture, stored.order, stored.range, stored.mean) == (
        "onnx",
        "ntchw",
        "0..255",
        [1.0, 2.0, 3.0],
    )
    loaded = load_stored(stored)
    assert (loaded.input.range, loaded.input.mean, loaded.labels) == ("0..255", (1.0, 2.0, 3.0), tuple(LABELS))


def test_its_page_says_what_the_network_takes(client: Client, user: User, stored: Classifier) -> None:
    client.force_login(user)
    page = client.get(reverse("classifier", args=[stored.pk])).content.decode()
    assert "axes NTCHW, values 0..255, mean 1.0, 2.0, 3.0" in page


def test_a_softmax_at_the_end_is_left_out_and_the_page_says_so(
    client: Client, user: User, team: Team, tmp_path: Path
) -> None:
    model = classifier_model(shape=(1, 4, 3, 16, 16))
    model.graph.node[-1].output[0] = "logits"
    model.graph.node.append(helper.make_node("Softmax", ["logits"], ["y"], "the end", axis=1))
    (tmp_path / "soft.onnx").write_bytes(model.SerializeToString())

    kept = create_classifier(user, team, tmp_path / "soft.onnx", "soft.onnx", labels=LABELS)

    assert kept.dropped[0].startswith("softmax")
    page = client.get(reverse("classifier", args=[kept.pk])).content.decode()
    assert "bounds are about logits" in page


def test_another_number_of_frames_is_refused_where_the_question_is_asked(
    user: User, team: Team, stored: Classifier
) -> None:
    with pytest.raises(Invalid, match="exported for 4 frames, not 6: use 4, or export") as refused:
        create_verification(user, make_video(team), stored, frames=6)
    assert refused.value.field == "frames"


def test_the_report_names_the_labels_on_its_command_line(user: User, team: Team, stored: Classifier) -> None:
    question = create_verification(user, make_video(team), stored)
    words = shlex.split(verify_command(question))
    assert words[words.index("--labels") + 1] == '["walks", "runs", "stands"]'


def test_a_model_without_labels_is_refused_with_what_to_do(user: User, team: Team, model: Path) -> None:
    with pytest.raises(Invalid, match="does not name its classes; give a file of labels"):
        create_classifier(user, team, model, "walk.onnx")
    assert not Classifier.objects.exists()


def test_what_an_upload_says_of_the_input() -> None:
    metadata = {"order": "thwc", "range": "-1..1", "mean": "0.4, 0.5, 0.6", "std": "1 2 3"}
    assert classifier_options(metadata) == {
        "order": "thwc",
        "value_range": "-1..1",
        "mean": (0.4, 0.5, 0.6),
        "deviation": (1.0, 2.0, 3.0),
    }
    for wrong in ("1, 2", "one", "1 2 nan"):
        with pytest.raises(Invalid, match="three numbers, one for each channel"):
            classifier_options({"mean": wrong})


def test_the_command_line_verifies_it(model: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    video, out = make_video_file(tmp_path / "clip.avi"), tmp_path / "out.json"
    arguments = ["--classifier", str(model), "--labels", str(tmp_path / "labels.txt"), "--range", "0..255"]
    call_command("verify", str(video), *arguments, "--seconds", "5", "--norm", "linf", "--json", str(out))
    result = json.loads(out.read_text())
    assert result["label"] in range(3)
    assert result["lower"] > 0


def test_the_demo_as_onnx(tmp_path: Path) -> None:
    call_command("export_onnx", str(tmp_path / "demo.onnx"))
    classifier = load_classifier(tmp_path / "demo.onnx")
    assert (classifier.architecture, len(classifier.labels)) == ("onnx", 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{folder}/nowhere/demo.onnx",), "there is no folder"),
        (("{folder}/demo.onnx", "--opset", "3"), "version 3 of the ONNX operators cannot be written"),
        (("{folder}/demo.onnx", "--classifier", "{folder}/nothing.onnx"), "there is no file nothing.onnx"),
    ],
)
def test_exports_that_cannot_be(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("export_onnx", *(argument.format(folder=tmp_path) for argument in arguments))
    assert not list(tmp_path.iterdir())
