"""Pictures and data files: replaced all at once, and never left behind when something fails."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.factories import make_finished, make_team, make_user, make_verification
from verification.models import Artifact, Verification
from verification.services import artifacts, deleting, recording
from verification.services.artifacts import ArtifactFile
from verification.services.errors import Conflict, LeaseLost

pytestmark = pytest.mark.django_db

Kind = Artifact.Kind


@pytest.fixture
def claimed() -> Verification:
    """A verification that a worker has claimed."""
    verification = recording.claim(make_verification(make_team(make_user())).pk, "one")
    assert verification is not None
    return verification


def picture(kind: Artifact.Kind, flow: int | None, content: bytes) -> ArtifactFile:
    return ArtifactFile(kind, flow, f"{kind}.png", "image/png", content)


def stored(verification: Verification) -> set[bytes]:
    """What lies in the verification's folder."""
    folder = Path(settings.MEDIA_ROOT) / "teams" / str(verification.team_id) / "verifications"
    return {path.read_bytes() for path in folder.rglob("*.png")}


def record(verification: Verification, files: Iterator[ArtifactFile] | list[ArtifactFile]) -> int:
    return artifacts.record_adversarial(
        verification,
        label=1,
        confidence=0.7,
        realisation_rms=0.4,
        realisation_median=0.2,
        example={"survives_rounding": True},
        files=files,
    )


def test_a_better_example_replaces_its_own_pictures_only(
    claimed: Verification, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        original = artifacts.record_artifacts(claimed, [picture(Kind.FRAME, 1, b"frame")])
        first = record(claimed, [picture(Kind.PERTURBED_FRAME, flow, b"old %d" % flow) for flow in (1, 2)])
        second = record(claimed, [picture(Kind.PERTURBED_FRAME, flow, b"new %d" % flow) for flow in (1, 2)])
    assert (original, first, second) == (1, 2, 3)
    rows = Artifact.objects.order_by("kind", "flow").values_list("kind", "flow", "revision", "bytes")
    assert list(rows) == [("frame", 1, 1, 5), ("perturbed-frame", 1, 3, 5), ("perturbed-frame", 2, 3, 5)]
    assert stored(claimed) == {b"frame", b"new 1", b"new 2"}
    claimed.refresh_from_db()
    assert (claimed.upper_label, claimed.upper_confidence) == (1, 0.7)
    assert (claimed.realisation_rms, claimed.realisation_median) == (0.4, 0.2)
    assert claimed.example == {"survives_rounding": True}


def test_a_kind_without_flow_exists_once(claimed: Verification) -> None:
    record(claimed, [picture(Kind.RESULT, None, b"first")])
    record(claimed, [picture(Kind.RESULT, None, b"second")])
    assert Artifact.objects.get().file.read() == b"second"


def test_a_drawing_that_fails_leaves_everything_as_it_was(claimed: Verification) -> None:
    record(claimed, [picture(Kind.PERTURBED_FRAME, 1, b"good")])

    def failing() -> Iterator[ArtifactFile]:
        yield picture(Kind.PERTURBED_FRAME, 1, b"half")
        raise RuntimeError("out of ink")

    with pytest.raises(RuntimeError):
        record(claimed, failing())
    assert Artifact.objects.get().file.read() == b"good"
    assert stored(claimed) == {b"good"}


def test_a_lease_lost_while_drawing_leaves_everything_as_it_was(claimed: Verification) -> None:
    def slow() -> Iterator[ArtifactFile]:
        yield picture(Kind.PERTURBED_FRAME, 1, b"late")
        past = timezone.now() - timedelta(seconds=1)
        Verification.objects.filter(pk=claimed.pk).update(lease_expires_at=past)
        assert recording.claim(claimed.pk, "two") is not None

    with pytest.raises(LeaseLost):
        record(claimed, slow())
    assert not Artifact.objects.exists()
    assert stored(claimed) == set()


def test_a_deleted_verification_takes_its_files_along(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    user = make_user()
    verification = make_finished(make_team(user), user)
    assert len(stored(verification)) == 1
    with django_capture_on_commit_callbacks(execute=True):
        deleting.delete_verification(user, verification)
    assert not Verification.objects.exists()
    assert not Artifact.objects.exists()
    assert stored(verification) == set()


def test_a_running_verification_and_a_used_video_stay() -> None:
    user = make_user()
    verification = make_verification(make_team(user), user, status="running")
    with pytest.raises(Conflict, match="not ended"):
        deleting.delete_verification(user, verification)
    with pytest.raises(Conflict, match="verification uses"):
        deleting.delete_video(user, verification.video)
    verification.video.refresh_from_db()
    assert verification.video.file.read()
