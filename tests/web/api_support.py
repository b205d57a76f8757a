"""Shortcuts for the tests of API and reports, on top of the factories for all tests."""

import hashlib
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from rest_framework.test import APIClient

from tests.factories import LABELS, make_finished, make_verification
from verification.models import Classifier, Team, Verification


def signed_in(user: User | None = None) -> APIClient:
    """A client with a browser session of `user`, or of a visitor."""
    client = APIClient()
    if user is not None:
        client.force_login(user)
    return client


def light_classifier(team: Team, name: str = "weights.safetensors") -> Classifier:
    """A row whose file nobody loads: building real weights for each of a hundred tests takes a minute."""
    content = f"weights of {team.pk}, {name}".encode()
    classifier = Classifier(
        team=team,
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        architecture="camera_motion",
        labels=list(LABELS),
        frames=4,
        height=16,
        width=16,
        channels="rgb",
        sampling="uniform",
    )
    classifier.file.save(name, ContentFile(content), save=True)
    return classifier


def make_ended(team: Team, **fields: Any) -> Verification:
    """A verification whose budget is spent; see `make_finished`."""
    return make_finished(team, **_sources(team) | fields)


def make_running(team: Team, **fields: Any) -> Verification:
    """A verification that a worker holds, with nothing known yet."""
    held = {"status": Verification.Status.RUNNING, "lease_owner": "somebody"}
    return make_verification(team, **_sources(team) | held | fields)


def make_queued(team: Team, **fields: Any) -> Verification:
    """A verification that waits."""
    return make_verification(team, **_sources(team) | fields)


def _sources(team: Team) -> dict[str, Any]:
    """The team's classifier, made on first use; each verification gets a video of its own."""
    return {"classifier": team.classifiers.first() or light_classifier(team)}
