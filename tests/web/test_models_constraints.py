"""What the database refuses, whoever writes."""

from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from tests.factories import make_artifact, make_classifier, make_team, make_user, make_verification, make_video
from verification.engine.perturbation import Norm
from verification.engine.result import Guarantee, Status
from verification.models import Artifact, Bound, Membership, Upload, Verification

pytestmark = pytest.mark.django_db


def test_migrations_are_complete() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.parametrize(
    "fields",
    [
        {"frames": 1},
        {"seconds": 0.0},
        {"radius": 0.0},
        {"lower": -0.1},
        {"lower": 2.0, "upper": 1.0},
        {"elapsed": -1.0},
        {"norm": "l9"},
        {"status": "lost"},
    ],
)
def test_a_verification_that_cannot_be(fields: dict[str, Any]) -> None:
    team = make_team(make_user())
    shared: dict[str, Any] = {"video": make_video(team), "classifier": make_classifier(team)}
    with pytest.raises(IntegrityError), transaction.atomic():
        make_verification(team, **shared, **fields)
    assert make_verification(team, **shared).pk


@pytest.mark.parametrize(
    "fields",
    [{"number": 0}, {"number": 1}, {"lower": -1.0}, {"lower": 2.0, "upper": 1.0}, {"seconds": -1.0}],
)
def test_a_bound_that_cannot_be(fields: dict[str, Any]) -> None:
    verification = make_verification(make_team(make_user()))
    good: dict[str, Any] = {"number": 1, "seconds": 1.0, "lower": 0.0, "upper": None, "source": "lower"}
    Bound.objects.create(verification=verification, **good)
    with pytest.raises(IntegrityError), transaction.atomic():
        Bound.objects.create(verification=verification, **good | {"number": 2} | fields)


def test_one_file_once_a_team_and_again_in_another() -> None:
    team, other = make_team(make_user()), make_team(make_user())
    make_video(team, seed=5)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_video(team, seed=5)
    assert make_video(other, seed=5).pk
    classifier = make_classifier(team)
    classifier.pk = uuid4()
    with pytest.raises(IntegrityError), transaction.atomic():
        classifier.save(force_insert=True)
    classifier.team = other
    classifier.save(force_insert=True)


@pytest.mark.parametrize("flow", [None, 1])
def test_one_artifact_of_a_kind_and_flow(flow: int | None) -> None:
    verification = make_verification(make_team(make_user()))
    make_artifact(verification, Artifact.Kind.RESULT, flow)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_artifact(verification, Artifact.Kind.RESULT, flow)


def test_a_person_is_in_a_team_once() -> None:
    user = make_user()
    team = make_team(user)
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(team=team, user=user)


@pytest.mark.parametrize("fields", [{"length": 0}, {"offset": 11}, {"kind": "poem"}])
def test_an_upload_that_cannot_be(fields: dict[str, Any]) -> None:
    user = make_user()
    good = {"team": make_team(user), "user": user, "kind": "video", "filename": "a", "length": 10}
    with pytest.raises(IntegrityError), transaction.atomic():
        Upload.objects.create(**good | fields)


def test_words_are_the_engine_s_words() -> None:
    assert set(Verification.Norm.values) == {norm.value for norm in Norm}
    assert set(Verification.Guarantee.values) == {guarantee.value for guarantee in Guarantee}
    ends = {status.value for status in Status} - {Status.STOPPED.value}
    assert ends <= set(Verification.Status.values)


def test_labels_have_names() -> None:
    verification = make_verification(make_team(make_user()), label=1)
    assert verification.label_name == "right"
    assert verification.upper_label_name is None
    verification.label = 99
    assert verification.label_name is None
