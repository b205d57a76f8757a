"""A run that was asked for a certificate: it is written before the run ends, or it is said why there is none."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.factories import make_classifier, make_team, make_user, make_verification, make_video
from tests.live.undecided import make_undecided_file
from verification.engine import anytime
from verification.engine.certificate import Certificate
from verification.jobs import recorder
from verification.jobs.actors import run_verification
from verification.jobs.interruption import stopping
from verification.models import Artifact, Verification
from verification.reports.commands import check_command, verify_command

# Leases are renewed on a thread of their own: what it sees has to be committed.
pytestmark = pytest.mark.django_db(transaction=True)

KIND = Artifact.Kind.CERTIFICATE


@pytest.fixture(autouse=True)
def not_stopping() -> Iterator[None]:
    yield
    stopping.clear()


def queued(**fields: Any) -> Verification:
    """A question in two dimensions about made files, of which both bounds move within seconds."""
    user = make_user()
    team = make_team(user)
    video, classifier = make_video(team, user, seed=1), make_classifier(team, user)
    make_undecided_file(Path(classifier.file.path), Path(video.file.path), seed=1)
    question = {"space": "translation", "flows": [1], "seconds": 2.0, "certificate": True}
    return make_verification(team, user, **{**question, "video": video, "classifier": classifier, **fields})


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
    """Do `action` once the certificate is being written."""
    original = recorder.Recorder.certifying

    def certifying(self: recorder.Recorder) -> None:
        original(self)
        action()

    monkeypatch.setattr(recorder.Recorder, "certifying", certifying)


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
