"""A run that was asked for a certificate: it is written before the run ends, or it is said why there is none."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.engine.onnx_models import classifier_model
from tests.factories import make_team, make_user
from tests.live.undecided import make_undecided_verification
from verification.engine import load_classifier, read_clip
from verification.engine.certificate import Certificate
from verification.jobs import recorder
from verification.jobs.actors import run_verification
from verification.jobs.interruption import stopping
from verification.models import Artifact, Verification
from verification.reports.commands import check_command, verify_command
from verification.services.classifiers import create_classifier

# Leases are renewed on a thread of their own: what it sees has to be committed.
pytestmark = pytest.mark.django_db(transaction=True)

KIND = Artifact.Kind.CERTIFICATE


def queued(**fields: Any) -> Verification:
    """A question in two dimensions about made files, of which both bounds move within seconds."""
    question: dict[str, Any] = {"space": "translation", "flows": [1], "certificate": True}
    return make_undecided_verification(**{**question, **fields})


def run(verification: Verification) -> Verification:
    """Run it as the worker does, and read it again."""
    run_verification(str(verification.pk))
    verification.refresh_from_db()
    return verification


def said(verification: Verification) -> list[str]:
    return list(verification.events.values_list("text", flat=True))


def check(verification: Verification, folder: Path) -> int:
    """The exit code of the command that the page shows, for the file as it is downloaded."""
    stored = verification.artifacts.get(kind=KIND)
    with stored.file.open("rb") as file:
        (folder / "certificate.json").write_bytes(file.read())
    there = {
        "certificate.json": str(folder / "certificate.json"),
        verification.video.name: verification.video.file.path,
        verification.classifier.name: verification.classifier.file.path,
    }
    words = shlex.split(check_command(verification))
    assert words[:3] == ["python", "manage.py", "check_certificate"]
    try:
        call_command(*[there.get(word, word) for word in words[2:]])
    except CommandError as error:
        return error.returncode
    return 0


def when_writing(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Do `action` once the certificate is being written, which takes less than a worker waits between two looks."""
    original = recorder.Recorder.certifying

    def certifying(self: recorder.Recorder) -> None:
        original(self)
        action()

    monkeypatch.setattr(recorder.Recorder, "certifying", certifying)
    monkeypatch.setattr(recorder, "STOP_SECONDS", 0.0)


def test_a_certificate_is_kept_and_anybody_finds_it_valid(tmp_path: Path) -> None:
    after = run(queued())
    assert after.status in {"exhausted", "converged"}, after.error
    assert after.certificate_radius is not None, said(after)
    assert 0 < after.certificate_radius <= after.lower
    assert (after.certifying, after.uncertified, after.no_certificate) == (False, "", "")
    stored = after.artifacts.get(kind=KIND)
    assert (stored.name, stored.content_type, stored.flow) == ("certificate.json", "application/json", None)
    assert Certificate.load(stored.file.path).radius == after.certificate_radius
    assert said(after)[-2] == "Writing the certificate."
    assert said(after)[-1].startswith("The certificate is written.")
    assert check(after, tmp_path) == 0
    assert verify_command(after).endswith("--certificate certificate.json")


@pytest.mark.parametrize(
    "question",
    [{"space": "dense", "flows": None}, {"space": "pixels", "flows": None}, {"lower_method": "root"}],
)
def test_without_cells_the_whole_ball_is_certified(question: dict[str, Any], tmp_path: Path) -> None:
    after = run(queued(**question))
    assert after.certificate_radius is not None, said(after)
    assert 0 < after.certificate_radius <= after.lower
    assert check(after, tmp_path) == 0


def test_the_frames_that_were_asked_for_are_those_that_are_checked(tmp_path: Path) -> None:
    after = run(queued(sampling="floor", first=3, last=11))
    assert after.certificate_radius is not None, said(after)
    assert "--first 3 --last 11 --sampling floor" in check_command(after)
    assert check(after, tmp_path) == 0


def test_a_mirrored_clip_is_recorded_with_its_pair_and_its_certificate_is_valid_for_the_video(tmp_path: Path) -> None:
    verification = queued(mirrored=True)
    classifier = load_classifier(verification.classifier.file.path)
    size = (classifier.input.height, classifier.input.width)
    given = read_clip(verification.video.file.path, frames=classifier.input.frames, size=size)
    frames = given.frames, given.frames.flip(-1)
    shares = [classifier.module(clip.unsqueeze(0))[0].softmax(0) for clip in frames]

    after = run(verification)

    assert after.status in {"exhausted", "converged"}, after.error
    assert (after.given_label, after.label) == (int(shares[0].argmax()), int(shares[1].argmax()))
    told = (after.given_confidence, after.confidence)
    assert told == pytest.approx((float(shares[0].max()), float(shares[1].max())), rel=1e-4)
    assert "The clip is mirrored left to right. Given: " in said(after)[0]
    with after.artifacts.get(kind=Artifact.Kind.RESULT).file.open("rb") as file:
        document = json.loads(file.read())
    assert document["clip"]["mirrored"] is True
    fields = ("given_label", "given_label_name", "given_confidence", "pair_agrees")
    assert [document[field] for field in fields] == [getattr(after, field) for field in fields]
    first = cv2.imread(after.artifacts.get(kind=Artifact.Kind.FRAME, flow=1).file.path)
    assert first is not None
    np.testing.assert_allclose(first[..., ::-1], 255 * frames[1][0].permute(1, 2, 0).numpy(), atol=0.51)
    assert after.certificate_radius is not None, said(after)
    assert Certificate.load(after.artifacts.get(kind=KIND).file.path).mirrored
    assert check(after, tmp_path) == 0


def test_what_was_said_of_a_model_on_its_way_in_is_part_of_the_command(tmp_path: Path) -> None:
    user = make_user()
    team = make_team(user)
    model = tmp_path / "walk.onnx"
    model.write_bytes(classifier_model(shape=(1, 4, 3, 16, 16)).SerializeToString())
    classifier = create_classifier(
        user,
        team,
        model,
        "walk.onnx",
        labels=["it walks", "it runs", "it stands"],
        channels="bgr",
        value_range="0..255",
        mean=(100.123456789, 110.0, 120.0),
        deviation=(50.0, 51.0, 1 / 3),
        sampling="floor",
    )
    after = run(queued(classifier=classifier, sampling="floor", seconds=3.0))
    assert after.certificate_radius is not None, said(after)
    assert check(after, tmp_path) == 0


def test_without_being_asked_nothing_is_written() -> None:
    after = run(queued(certificate=False, seconds=1.0))
    assert after.status in {"exhausted", "converged"}, after.error
    assert not after.artifacts.filter(kind=KIND).exists()
    assert after.no_certificate == ""
    assert "certificate" not in " ".join(said(after)).lower()
    assert "--certificate" not in verify_command(after)


def test_where_none_can_be_made_the_run_goes_on_and_says_why() -> None:
    after = run(queued(space="affine", norm="l1", flows=None, seconds=1.0))
    assert after.status in {"exhausted", "converged"}, after.error
    assert after.label is not None and after.artifacts.filter(kind=Artifact.Kind.RESULT).exists()
    assert after.uncertified[0].isupper() and after.uncertified.endswith(".")
    assert said(after)[-2:] == ["Writing the certificate.", f"No certificate. {after.uncertified}"]
    assert not after.artifacts.filter(kind=KIND).exists()
    assert "--certificate" not in verify_command(after)


def test_whoever_stops_the_writing_keeps_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued()
    row = Verification.objects.filter(pk=verification.pk)
    when_writing(monkeypatch, lambda: row.update(cancel_requested=True))
    after = run(verification)
    assert (after.status, after.certifying, after.certificate_radius) == ("cancelled", False, None)
    assert after.uncertified.startswith("Stopped before the certificate was written")
    assert after.lower > 0
    kinds = set(after.artifacts.values_list("kind", flat=True))
    assert Artifact.Kind.RESULT in kinds and KIND not in kinds
    with after.artifacts.get(kind=Artifact.Kind.RESULT).file.open("rb") as file:
        assert json.load(file)["status"] == "stopped"


def test_a_run_that_is_stopped_earlier_does_not_begin_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued(seconds=120.0)
    row = Verification.objects.filter(pk=verification.pk)
    original = recorder.Recorder.game

    def game(self: recorder.Recorder, picture: Any) -> None:
        original(self, picture)
        row.update(cancel_requested=True)

    monkeypatch.setattr(recorder.Recorder, "game", game)
    after = run(verification)
    assert after.status == "cancelled"
    assert after.elapsed < 100
    assert "Writing the certificate." not in said(after)
    assert after.uncertified.startswith("Stopped before")


def test_a_stopping_worker_leaves_the_writing_to_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    verification = queued()
    with monkeypatch.context() as patched:
        when_writing(patched, stopping.set)
        given_back = run(verification)
    assert (given_back.status, given_back.certifying, given_back.uncertified) == ("queued", False, "")
    assert given_back.checkpoint
    stopping.clear()
    after = run(verification)
    assert after.status in {"exhausted", "converged"}, after.error
    assert any(text.startswith("Going on after") for text in said(after))
    assert check(after, tmp_path) == 0


def test_too_little_memory_for_the_certificate_costs_the_certificate_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large() -> None:
        raise MemoryError

    when_writing(monkeypatch, too_large)
    after = run(queued())
    assert after.status in {"exhausted", "converged"}, after.error
    assert after.lower > 0
    assert after.artifacts.filter(kind=Artifact.Kind.RESULT).exists()
    assert after.uncertified.startswith("There was not enough memory to write it")


class Killed(BaseException):
    """In the place of a signal that no handler sees."""


def test_after_a_worker_was_killed_while_it_wrote_nothing_half_written_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    verification = queued()

    def killed() -> None:
        raise Killed

    with monkeypatch.context() as patched:
        when_writing(patched, killed)
        with pytest.raises(Killed):
            run(verification)
    verification.refresh_from_db()
    assert (verification.status, verification.certifying) == ("running", True)
    assert not verification.artifacts.filter(kind=KIND).exists()
    bounds = list(verification.bounds.values_list("number", "lower", "upper"))
    assert bounds[-1][1] > 0
    Verification.objects.filter(pk=verification.pk).update(lease_expires_at=timezone.now())

    after = run(verification)
    assert after.status in {"exhausted", "converged"}, after.error
    assert list(after.bounds.values_list("number", "lower", "upper"))[: len(bounds)] == bounds
    assert len(list(Path(after.artifacts.get(kind=KIND).file.path).parent.glob("certificate*"))) == 1
    assert check(after, tmp_path) == 0


def test_a_worker_that_lost_its_lease_while_it_wrote_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued()
    row = Verification.objects.filter(pk=verification.pk)
    when_writing(monkeypatch, lambda: row.update(lease_owner="another:1:worker"))
    after = run(verification)
    assert (after.status, after.lease_owner, after.uncertified) == ("running", "another:1:worker", "")
    assert not after.artifacts.filter(kind=KIND).exists()
