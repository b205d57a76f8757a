"""The worker's records: one worker at a time, bounds that never go back, and an end with a reason."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.factories import make_team, make_user, make_verification
from verification.engine.result import BoundPoint, Status
from verification.models import Bound, Event, Verification
from verification.services import recording
from verification.services.errors import Invalid, LeaseLost

pytestmark = pytest.mark.django_db


@pytest.fixture
def claimed() -> Verification:
    """A verification that the worker "one" has claimed."""
    verification = recording.claim(make_verification(make_team(make_user())).pk, "one")
    assert verification is not None
    return verification


def point(number: int, lower: float, upper: float | None, seconds: float = 1.0) -> BoundPoint:
    return BoundPoint(number, seconds, lower, upper, "lower")


def expire(verification: Verification) -> None:
    """As if the worker had been silent for too long."""
    past = timezone.now() - timedelta(seconds=1)
    Verification.objects.filter(pk=verification.pk).update(lease_expires_at=past)


def files_of(verification: Verification) -> list[str]:
    folder = settings.MEDIA_ROOT / "teams" / str(verification.team_id) / "verifications" / str(verification.pk)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_claim_marks_it_running(claimed: Verification) -> None:
    assert claimed.status == Verification.Status.RUNNING
    assert (claimed.attempts, claimed.lease_owner) == (1, "one")
    assert claimed.started_at is not None
    assert {"FlowVerify", "Python", "torch"} <= set(claimed.versions)


def test_only_one_worker_gets_it(claimed: Verification) -> None:
    assert recording.claim(claimed.pk, "two") is None
    claimed.refresh_from_db()
    assert (claimed.lease_owner, claimed.attempts) == ("one", 1)


def test_a_dead_worker_is_followed_by_another(claimed: Verification) -> None:
    began = claimed.started_at
    expire(claimed)
    second = recording.claim(claimed.pk, "two")
    assert second is not None
    assert (second.lease_owner, second.attempts, second.started_at) == ("two", 2, began)


def test_it_is_given_up_after_three_dead_workers() -> None:
    verification = make_verification(make_team(make_user()))
    for number in range(recording.MAX_ATTEMPTS):
        assert recording.claim(verification.pk, f"worker {number}") is not None
        expire(verification)
    assert recording.claim(verification.pk, "one more") is None
    verification.refresh_from_db()
    assert verification.status == Verification.Status.FAILED
    assert "died 3 times" in verification.error
    assert verification.finished_at is not None


def test_a_cancelled_one_is_closed_when_its_worker_has_died(claimed: Verification) -> None:
    Verification.objects.filter(pk=claimed.pk).update(cancel_requested=True)
    expire(claimed)
    assert recording.claim(claimed.pk, "two") is None
    claimed.refresh_from_db()
    assert claimed.status == Verification.Status.CANCELLED


@pytest.mark.parametrize("status", ["converged", "certified", "exhausted", "cancelled", "failed"])
def test_what_has_ended_is_not_claimed(status: str) -> None:
    verification = make_verification(make_team(make_user()), status=status)
    assert recording.claim(verification.pk, "one") is None
    verification.refresh_from_db()
    assert verification.status == status


def test_renew_prolongs_and_tells_of_a_cancel(claimed: Verification) -> None:
    expire(claimed)
    assert recording.renew(claimed, elapsed=2.5) is False
    assert recording.claim(claimed.pk, "two") is None
    Verification.objects.filter(pk=claimed.pk).update(cancel_requested=True)
    assert recording.renew(claimed) is True
    claimed.refresh_from_db()
    assert claimed.elapsed == 2.5


def test_bounds_are_numbered_and_kept_on_the_verification(claimed: Verification) -> None:
    recording.record_bound(claimed, point(1, 0.0, 4.0))
    recording.record_bound(claimed, point(2, 0.5, 4.0, seconds=2.0))
    rows = Bound.objects.filter(verification=claimed).values_list("number", "lower", "upper", "seconds")
    assert list(rows) == [(1, 0.0, 4.0, 1.0), (2, 0.5, 4.0, 2.0)]
    claimed.refresh_from_db()
    assert (claimed.lower, claimed.upper, claimed.elapsed) == (0.5, 4.0, 2.0)


def test_a_repeat_says_nothing_new(claimed: Verification) -> None:
    recording.record_bound(claimed, point(1, 0.1, 4.0))
    assert recording.record_bound(claimed, point(1, 0.1, 4.0)) is None
    assert Bound.objects.count() == 1


def test_a_resumed_run_never_takes_bounds_back(claimed: Verification) -> None:
    """The run counts from its checkpoint at 1; points 2 and 3 are recorded already."""
    for number, (lower, upper) in enumerate([(0.1, 4.0), (0.2, 4.0), (0.2, 3.0)], 1):
        recording.record_bound(claimed, point(number, lower, upper, seconds=10.0 + number))
    assert recording.record_bound(claimed, point(2, 0.15, 4.0, seconds=2.0)) is None
    better = recording.record_bound(claimed, point(3, 0.3, 3.5, seconds=3.0))
    assert better is not None
    assert (better.number, better.lower, better.upper, better.seconds) == (4, 0.3, 3.0, 13.0)


def test_bounds_that_cross_are_refused(claimed: Verification) -> None:
    recording.record_bound(claimed, point(1, 0.5, 1.0))
    with pytest.raises(Invalid, match="passed the upper bound"):
        recording.record_bound(claimed, point(2, 1.5, None))
    claimed.refresh_from_db()
    assert (claimed.lower, claimed.upper) == (0.5, 1.0)


def test_events_are_numbered_and_cut(claimed: Verification) -> None:
    recording.record_event(claimed, 0.5, "the clip is read")
    recording.record_event(claimed, 1.5, "x" * 900)
    assert list(Event.objects.values_list("number", flat=True)) == [1, 2]
    assert len(Event.objects.get(number=2).text) == 500


def test_a_checkpoint_replaces_the_one_before(
    claimed: Verification, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    assert recording.load_checkpoint(claimed) is None
    with django_capture_on_commit_callbacks(execute=True):
        recording.save_checkpoint(claimed, b"first")
        recording.save_checkpoint(claimed, b"second")
    assert len(files_of(claimed)) == 1
    again = Verification.objects.get(pk=claimed.pk)
    assert recording.load_checkpoint(again) == b"second"


def test_finish_keeps_the_bounds_and_drops_the_lease(claimed: Verification) -> None:
    recording.record_bound(claimed, point(1, 0.5, 1.0))
    recording.finish(claimed, Status.EXHAUSTED, elapsed=60.0)
    claimed.refresh_from_db()
    assert (claimed.status, claimed.lower, claimed.upper) == (Verification.Status.EXHAUSTED, 0.5, 1.0)
    assert (claimed.lease_owner, claimed.lease_expires_at, claimed.elapsed) == ("", None, 60.0)
    assert claimed.finished_at is not None


@pytest.mark.parametrize("status", list(Status))
def test_every_end_of_the_engine_has_a_status(claimed: Verification, status: Status) -> None:
    recording.finish(claimed, status, elapsed=1.0)
    claimed.refresh_from_db()
    assert claimed.status == ("cancelled" if status is Status.STOPPED else status.value)


def test_fail_says_why(claimed: Verification) -> None:
    recording.record_bound(claimed, point(1, 0.5, 1.0))
    recording.fail(claimed, "the video is gone")
    claimed.refresh_from_db()
    assert (claimed.status, claimed.error, claimed.lower) == ("failed", "the video is gone", 0.5)


def test_release_gives_it_back_without_counting(claimed: Verification) -> None:
    recording.save_checkpoint(claimed, b"state")
    recording.release(claimed)
    claimed.refresh_from_db()
    assert (claimed.status, claimed.attempts, claimed.lease_owner) == ("queued", 0, "")
    assert recording.load_checkpoint(claimed) == b"state"
    assert recording.claim(claimed.pk, "two") is not None


def test_who_lost_the_lease_writes_nothing(claimed: Verification) -> None:
    recording.save_checkpoint(claimed, b"mine")
    expire(claimed)
    second = recording.claim(claimed.pk, "two")
    assert second is not None
    writes: list[Callable[[], object]] = [
        lambda: recording.renew(claimed),
        lambda: recording.record_start(claimed, 0, 0.9),
        lambda: recording.record_bound(claimed, point(1, 0.5, 1.0)),
        lambda: recording.record_event(claimed, 1.0, "late"),
        lambda: recording.save_checkpoint(claimed, b"late"),
        lambda: recording.finish(claimed, Status.CONVERGED, 1.0),
        lambda: recording.fail(claimed, "late"),
        lambda: recording.release(claimed),
    ]
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    second.refresh_from_db()
    assert (second.status, second.lease_owner, second.lower, second.label) == ("running", "two", 0.0, None)
    assert not Bound.objects.exists()
    assert not Event.objects.exists()
    assert recording.load_checkpoint(second) == b"mine"
    assert len(files_of(second)) == 1
