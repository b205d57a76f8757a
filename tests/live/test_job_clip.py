"""A worker reads its clip in a process of its own: whatever the video does there, the worker records it and lives on."""

from pathlib import Path
from typing import Any

import pytest

from tests import hostile
from tests.factories import make_classifier, make_team, make_user, make_verification, make_video, make_video_file
from verification.engine import EngineError, read_clip
from verification.engine.clip import Part
from verification.jobs.actors import run_verification
from verification.models import Verification
from verification.sandbox import tasks
from verification.services.reading import sample_clip

pytestmark = pytest.mark.django_db(transaction=True)


def run(**fields: Any) -> Verification:
    user = make_user()
    team = make_team(user)
    made = {"video": make_video(team, user), "classifier": make_classifier(team, user), "seconds": 1.0}
    verification = make_verification(team, user, **{**made, **fields})
    run_verification(str(verification.pk))
    verification.refresh_from_db()
    return verification


@pytest.mark.parametrize("sampling", ["uniform", "floor"])
@pytest.mark.parametrize("part", [Part(), Part(3, 9)])
def test_the_clip_is_the_one_that_is_read_in_this_process(tmp_path: Path, sampling: str, part: Part) -> None:
    video = make_video_file(tmp_path / "a.avi")
    wanted: dict[str, Any] = {"frames": 5, "size": (20, 30), "sampling": sampling, "part": part, "name": "a walk"}

    there, here = sample_clip(video, **wanted), read_clip(video, **wanted)

    assert there.frames.equal(here.frames)
    assert (there.name, there.sha256, there.numbers) == (here.name, here.sha256, here.numbers)


@pytest.mark.parametrize(
    ("task", "reason"), [(hostile.breaks_down, "broke down over this one"), (hostile.takes_memory, "4 GB of memory")]
)
def test_a_hostile_file_fails_its_verification_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, task: Any, reason: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tasks, "sample_clip", task)
        failed = run()
    assert failed.status == Verification.Status.FAILED
    assert reason in failed.error

    assert run().status in {Verification.Status.EXHAUSTED, Verification.Status.CONVERGED}


def test_half_a_clip_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tasks, "sample_clip", hostile.writes_too_little)
    video = make_video_file(tmp_path / "a.avi")
    with pytest.raises(EngineError, match="could not be read as a whole"):
        sample_clip(video, frames=4, size=(16, 16), sampling="uniform", part=Part(), name="a walk")
