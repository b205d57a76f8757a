"""One job in this process with the real engine: however it ends, the verification says so and the worker lives on."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from tests.live.undecided import make_undecided_verification as queued
from verification.engine import BoundPoint, read_clip
from verification.engine.flow import build_extractor
from verification.jobs import job, recorder
from verification.jobs.actors import run_verification
from verification.jobs.interruption import stopping
from verification.jobs.lease import OWNER, expire_leases_of_the_dead
from verification.jobs.sweep import waiting_now
from verification.models import Artifact, Verification

# Leases are renewed on a thread of their own: what it sees has to be committed.
pytestmark = pytest.mark.django_db(transaction=True)


def run(verification: Verification) -> Verification:
    """Run it as the worker does, and read it again."""
    run_verification(str(verification.pk))
    verification.refresh_from_db()
    return verification


def interrupt(
    monkeypatch: pytest.MonkeyPatch, action: Callable[[], object], when: Callable[[BoundPoint], bool]
) -> None:
    """Do `action` at the first bound of which `when` is true."""
    original = recorder.Recorder.bounds
    done = False

    def bounds(self: recorder.Recorder, point: BoundPoint) -> None:
        nonlocal done
        original(self, point)
        if not done and when(point):
            done = True
            action()

    monkeypatch.setattr(recorder.Recorder, "bounds", bounds)


def cancelling(verification: Verification) -> Callable[[], object]:
    """What a person does who presses Cancel."""
    row = Verification.objects.filter(pk=verification.pk)
    return lambda: row.update(cancel_requested=True)


def found_something(point: BoundPoint) -> bool:
    return point.upper is not None


def found_both(point: BoundPoint) -> bool:
    return point.upper is not None and point.lower > 0


def interrupt_when_said(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object], words: str) -> None:
    """Do `action` at the first event that holds `words`."""
    original = recorder.Recorder.event

    def event(self: recorder.Recorder, text: str) -> None:
        original(self, text)
        if words in text:
            action()

    monkeypatch.setattr(recorder.Recorder, "event", event)


def test_a_run_extracts_flow_as_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued(seconds=120.0, extractor="horn-schunck:warps=2")
    interrupt(monkeypatch, cancelling(verification), found_something)
    run(verification)
    height, width = verification.classifier.height, verification.classifier.width
    clip = read_clip(verification.video.file.path, frames=verification.frames, size=(height, width))
    flow = build_extractor("horn-schunck:warps=2").extract(clip.frames).permute(0, 2, 3, 1).numpy()
    with verification.artifacts.get(kind=Artifact.Kind.ADVERSARIAL_FLOWS).file.open("rb") as file:
        np.testing.assert_array_equal(np.load(BytesIO(file.read()))["flow"], flow)
    with verification.artifacts.get(kind=Artifact.Kind.RESULT).file.open("rb") as file:
        assert json.loads(file.read())["extractor"] == "horn-schunck:warps=2"


def test_a_run_looks_for_examples_as_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued(seconds=120.0, space="translation", upper_method="finite-difference")
    interrupt(monkeypatch, cancelling(verification), found_something)
    run(verification)
    assert verification.upper is not None and verification.lower <= verification.upper, verification.error
    with verification.artifacts.get(kind=Artifact.Kind.ADVERSARIAL_FLOWS).file.open("rb") as file:
        delta = np.load(BytesIO(file.read()))["delta"]
    np.testing.assert_array_equal(delta[..., 0], delta[..., 1])  # the paper has one number for both components
    with verification.artifacts.get(kind=Artifact.Kind.RESULT).file.open("rb") as file:
        assert json.loads(file.read())["upper_method"] == "finite-difference"


def test_a_run_records_bounds_events_pictures_and_data(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued(seconds=120.0)
    interrupt(monkeypatch, cancelling(verification), found_both)
    run(verification)
    assert verification.finished_at is not None, verification.error
    assert verification.lower > 0
    assert verification.upper is not None
    bounds = list(verification.bounds.all())
    assert [bound.number for bound in bounds] == list(range(1, len(bounds) + 1))
    assert (bounds[-1].lower, bounds[-1].upper) == (verification.lower, verification.upper)
    assert verification.events.exists()
    pairs = verification.frames - 1
    count = {kind: verification.artifacts.filter(kind=kind).count() for kind in Artifact.Kind}
    assert count[Artifact.Kind.FRAME] == count[Artifact.Kind.PERTURBED_FRAME] == verification.frames
    for kind in ("flow", "perturbed", "difference"):
        for aspect in ("magnitude", "direction", "arrows"):
            assert count[Artifact.Kind(f"{kind}-{aspect}")] == pairs
    for kind in (
        "adversarial-flows",
        "adversarial-clip",
        "lossless-clip",
        "comparison",
        "comparison-still",
        "original-flo",
        "perturbed-flo",
    ):
        assert count[Artifact.Kind(kind)] == 1
    example = verification.example
    assert example is not None and example["distances"][verification.norm] == verification.upper
    assert sum(example["shares"]) == pytest.approx(1)
    assert 0 < example["quality"]["psnr_worst"] <= example["quality"]["psnr"]
    assert not verification.checkpoint
    with verification.artifacts.get(kind=Artifact.Kind.RESULT).file.open("rb") as file:
        document = json.loads(file.read())
    assert (document["lower"], document["upper"]) == (verification.lower, verification.upper)
    assert [point["number"] for point in document["history"]] == [bound.number for bound in bounds]
    assert document["video"]["sha256"] == verification.video.sha256


def test_a_run_in_pixels_records_changed_frames_and_no_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued(seconds=120.0, space="pixels")
    interrupt(monkeypatch, cancelling(verification), found_both)
    run(verification)
    assert verification.upper is not None and 0 < verification.lower <= verification.upper, verification.error
    assert verification.realisation_rms is None and verification.realisation_median is None
    kinds = sorted(verification.artifacts.values_list("kind", flat=True))
    pictures = [Artifact.Kind.FRAME, Artifact.Kind.FRAME_DIFFERENCE, Artifact.Kind.PERTURBED_FRAME]
    whole = [
        Artifact.Kind.ADVERSARIAL_CLIP,
        Artifact.Kind.LOSSLESS_CLIP,
        Artifact.Kind.COMPARISON,
        Artifact.Kind.COMPARISON_STILL,
        Artifact.Kind.RESULT,
    ]
    assert kinds == sorted([*pictures * verification.frames, *whole])
    said = " ".join(verification.events.values_list("text", flat=True))
    assert "grey levels) away" in said and " px" not in said and "flow" not in said


def test_a_run_in_eight_bits_counts_survivors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued(seconds=120.0, space="pixels", eight_bit=True)
    interrupt(monkeypatch, cancelling(verification), found_something)
    run(verification)
    assert verification.example is not None and verification.example["survives_rounding"] is True, verification.error
    with verification.artifacts.get(kind=Artifact.Kind.RESULT).file.open("rb") as file:
        document = json.loads(file.read())
    assert document["eight_bit"] is True and document["upper_survives_rounding"] is True


def test_a_file_that_is_no_video_any_more_fails_with_its_reason() -> None:
    verification = queued()
    Path(verification.video.file.path).write_bytes(b"not a video at all")
    after = run(verification)
    assert after.status == "failed"
    assert "video" in after.error
    assert "Traceback" not in after.error
    assert run(queued()).status in {"exhausted", "converged"}  # the worker lives on


def test_a_device_that_the_worker_lacks_is_named() -> None:
    after = run(queued(device="cuda:99"))
    assert after.status == "failed"
    assert after.error.startswith("There is no CUDA device 99 on this machine")


def test_an_unexpected_error_is_recorded_and_the_worker_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        raise ZeroDivisionError("division by zero")

    verification = queued()
    with monkeypatch.context() as patched:
        patched.setattr(job, "verify", broken)
        after = run(verification)
    assert after.status == "failed"
    assert "ZeroDivisionError" in after.error
    assert run(queued()).status in {"exhausted", "converged"}


def test_a_cancelled_run_ends_soon_and_keeps_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued(seconds=300.0)
    interrupt(monkeypatch, cancelling(verification), found_something)
    after = run(verification)
    assert after.status == "cancelled"
    assert after.elapsed < 100
    assert after.upper is not None
    assert after.bounds.exists()


def test_a_stopping_worker_gives_the_run_back_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued(seconds=120.0)
    with monkeypatch.context() as patched:
        interrupt(patched, stopping.set, found_something)
        given_back = run(verification)
    assert given_back.status == "queued"
    assert given_back.checkpoint
    assert given_back.attempts == 0
    before = list(given_back.bounds.values_list("number", "lower", "upper"))
    assert before
    stopping.clear()
    interrupt_when_said(monkeypatch, cancelling(verification), "Going on after")
    after = run(verification)
    assert after.status == "cancelled"
    assert list(after.bounds.values_list("number", "lower", "upper"))[: len(before)] == before


def test_a_damaged_checkpoint_begins_anew_and_bounds_never_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued(seconds=300.0)
    with monkeypatch.context() as patched:
        interrupt(patched, stopping.set, found_something)
        given_back = run(verification)
    stopping.clear()
    Path(given_back.checkpoint.path).write_bytes(b"damaged")
    lower, upper = given_back.lower, given_back.upper
    assert upper is not None
    interrupt_when_said(monkeypatch, cancelling(verification), "begins anew")
    after = run(verification)
    assert after.status == "cancelled"
    assert after.lower >= lower
    assert after.upper is not None
    assert after.upper <= upper


def test_a_worker_that_lost_its_lease_stops_without_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    verification = queued(seconds=120.0)
    row = Verification.objects.filter(pk=verification.pk)
    interrupt(monkeypatch, lambda: row.update(lease_owner="another:1:worker"), found_something)
    after = run(verification)
    assert (after.status, after.lease_owner) == ("running", "another:1:worker")


def test_a_message_for_one_that_is_taken_or_done_does_nothing() -> None:
    later = timezone.now() + timedelta(minutes=1)
    taken = queued(status="running", lease_owner="another:1:worker", lease_expires_at=later)
    done = queued(status="exhausted", finished_at=timezone.now())
    assert run(taken).lease_owner == "another:1:worker"
    assert run(done).status == "exhausted"
    assert not taken.bounds.exists()


def test_leases_of_dead_processes_of_this_host_end_at_once() -> None:
    host = OWNER.split(":")[0]
    later = timezone.now() + timedelta(minutes=1)
    fields = {"status": "running", "lease_expires_at": later}
    dead = queued(lease_owner=f"{host}:{2**22 + 1}:gone", **fields)
    alive = queued(lease_owner=f"{host}:1:init", **fields)
    elsewhere = queued(lease_owner="another-host:7:worker", **fields)
    expire_leases_of_the_dead()
    assert waiting_now() == {dead.pk}
    assert {alive.pk, elsewhere.pk}.isdisjoint(waiting_now())
