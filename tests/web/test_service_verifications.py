"""Asking questions: what is accepted, what is refused with the field that is wrong, and how one is stopped."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from dramatiq.brokers.stub import StubBroker
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.factories import add_bounds, make_classifier, make_team, make_user, make_verification, make_video
from verification.models import Verification
from verification.services import verifications
from verification.services.errors import Conflict, Invalid, NotAllowed

pytestmark = pytest.mark.django_db


def test_create_saves_and_sends_one_message(
    broker: StubBroker, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    user = make_user()
    team = make_team(user)
    with django_capture_on_commit_callbacks(execute=True):
        made = verifications.create_verification(
            user, make_video(team), make_classifier(team), flows=[3, 1, 3], certificate=True
        )
    saved = Verification.objects.get()
    assert saved == made
    assert saved.status == Verification.Status.QUEUED
    assert (saved.frames, saved.sampling, saved.flows, saved.team) == (4, "uniform", [1, 3], team)
    assert (saved.lower, saved.upper, saved.created_by) == (0.0, None, user)
    assert (saved.certificate, saved.certificate_radius, saved.no_certificate) == (True, None, "")
    assert broker.queues["default"].qsize() == 1


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"frames": 1}, "frames", "at least 2"),
        ({"frames": 13}, "frames", "12 frames"),
        ({"norm": "l3"}, "norm", "l1, l2, linf"),
        ({"space": "cubes"}, "space", "cubes"),
        ({"flows": []}, "flows", "at least one"),
        ({"flows": [0]}, "flows", "1 to 3"),
        ({"flows": [1, 4]}, "flows", "1 to 3"),
        ({"radius": 0.0}, "radius", "above zero"),
        ({"radius": -1.0}, "radius", "above zero"),
        ({"radius": float("nan")}, "radius", "above zero"),
        ({"query": True}, "radius", "name the radius"),
        ({"lower_method": "oracle"}, "lower_method", "cells, grid, root"),
        ({"lower_method": "grid", "space": "pixels"}, "lower_method", "a space of flows"),
        ({"tau": 0.5}, "tau", "step of a grid"),
        ({"tau": 0.0, "lower_method": "grid"}, "tau", "above zero"),
        ({"upper_method": "guess"}, "upper_method", "gradient, finite-difference"),
        ({"upper_method": "finite-difference", "space": "pixels"}, "upper_method", "a space of flows"),
        ({"seconds": 0.0}, "seconds", "above zero"),
        ({"seconds": float("inf")}, "seconds", "at most"),
        ({"seconds": 1e9}, "seconds", "at most"),
        ({"seed": -1}, "seed", "whole number"),
        ({"seed": 2**63}, "seed", "whole number"),
        ({"sampling": "random"}, "sampling", "uniform"),
        ({"sampling": "fps:0.5"}, "sampling", "longer video"),
        ({"extractor": "guess"}, "extractor", "farneback, horn-schunck, lucas-kanade, dis"),
        ({"extractor": "farneback:levels=11"}, "extractor", "from 0 to 10"),
        ({"extractor": "farneback:alpha=1"}, "extractor", "no parameter 'alpha'"),
        ({"extractor": "dis:patch_size=20"}, "extractor", "at least 30 pixels a side"),
        ({"device": "abacus"}, "device", "cpu"),
        ({"name": "n" * 201}, "name", "200"),
    ],
)
def test_a_question_that_makes_no_sense(broker: StubBroker, options: dict[str, Any], field: str, words: str) -> None:
    user = make_user()
    team = make_team(user)
    with pytest.raises(Invalid, match=words) as refused:
        verifications.create_verification(user, make_video(team), make_classifier(team), **options)
    assert refused.value.field == field
    assert not Verification.objects.exists()
    assert broker.queues["default"].qsize() == 0


def test_another_number_of_frames_suits_a_recurrent_classifier() -> None:
    user = make_user()
    team = make_team(user)
    made = verifications.create_verification(user, make_video(team), make_classifier(team), frames=6, flows=[5])
    assert (made.frames, made.flows) == (6, [5])


def test_an_extractor_is_kept_in_its_one_spelling() -> None:
    user = make_user()
    team = make_team(user)
    asked = "horn-schunck: levels=2, alpha=30.0, warps=4"
    made = verifications.create_verification(user, make_video(team), make_classifier(team), extractor=asked)
    made.refresh_from_db()
    assert made.extractor == "horn-schunck:alpha=30,levels=2"


def test_a_clip_too_short_for_the_classifier_is_refused_by_its_name() -> None:
    user = make_user()
    team = make_team(user)
    with pytest.raises(Invalid) as refused:
        verifications.create_verification(user, make_video(team, frames=3), make_classifier(team))
    assert refused.value.field == "frames"
    assert "3 frames" in str(refused.value)


def test_video_and_classifier_of_different_teams() -> None:
    user = make_user()
    with pytest.raises(Invalid, match="different teams"):
        verifications.create_verification(user, make_video(make_team(user)), make_classifier(make_team(user)))


def test_a_stranger_may_not_ask() -> None:
    team = make_team(make_user())
    with pytest.raises(NotAllowed):
        verifications.create_verification(make_user(), make_video(team), make_classifier(team))


def test_a_broker_that_is_away_loses_nothing(
    broker: StubBroker,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = make_user()
    team = make_team(user)
    video, classifier = make_video(team), make_classifier(team)
    with monkeypatch.context() as broken:
        broken.setattr(broker, "enqueue", _refuse)
        with django_capture_on_commit_callbacks(execute=True):
            verifications.create_verification(user, video, classifier)
    assert Verification.objects.get().status == Verification.Status.QUEUED
    assert verifications.enqueue_waiting() == 1
    assert broker.queues["default"].qsize() == 1


def _refuse(*args: object, **kwargs: object) -> None:
    raise ConnectionError("the broker is away")


def test_what_waits_is_asked_for_again(broker: StubBroker) -> None:
    team = make_team(make_user())
    past, future = (timezone.now() + timedelta(seconds=seconds) for seconds in (-1, 60))
    shared: dict[str, Any] = {"video": make_video(team), "classifier": make_classifier(team)}
    make_verification(team, **shared)
    make_verification(team, **shared, status="running", lease_owner="dead", lease_expires_at=past)
    make_verification(team, **shared, status="running", lease_owner="alive", lease_expires_at=future)
    make_verification(team, **shared, status="exhausted")
    assert verifications.enqueue_waiting() == 2
    assert broker.queues["default"].qsize() == 2


def test_cancel_ends_a_queued_one_at_once() -> None:
    user = make_user()
    verification = make_verification(make_team(user))
    verifications.cancel(user, verification)
    assert verification.status == Verification.Status.CANCELLED
    assert verification.finished_at is not None


def test_cancel_asks_the_worker_of_a_running_one() -> None:
    user = make_user()
    verification = make_verification(make_team(user), status="running", lower=0.5)
    verifications.cancel(user, verification)
    assert (verification.status, verification.cancel_requested) == (Verification.Status.RUNNING, True)
    assert verification.lower == 0.5


def test_what_has_ended_cannot_be_cancelled() -> None:
    user = make_user()
    verification = make_verification(make_team(user), status="certified")
    with pytest.raises(Conflict, match="ended already"):
        verifications.cancel(user, verification)
    verification.refresh_from_db()
    assert (verification.status, verification.cancel_requested) == (Verification.Status.CERTIFIED, False)


def test_a_stranger_may_not_cancel() -> None:
    verification = make_verification(make_team(make_user()))
    with pytest.raises(NotAllowed):
        verifications.cancel(make_user(), verification)
    verification.refresh_from_db()
    assert verification.status == Verification.Status.QUEUED


def test_bounds_since_a_number() -> None:
    verification = make_verification(make_team(make_user()))
    add_bounds(verification, [(1.0, 0.0, 3.0), (2.0, 0.1, 3.0), (3.0, 0.1, 2.0)])
    assert [bound.number for bound in verifications.bounds_since(verification, 1)] == [2, 3]
    assert not verifications.bounds_since(verification, 3).exists()
