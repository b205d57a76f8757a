"""A natural distortion as the worker runs it: what it found is recorded with parameters and grey levels."""

import json

import pytest

from tests.live.undecided import make_undecided_verification as queued
from verification.jobs.actors import run_verification
from verification.models import Artifact, Verification

# Leases are renewed on a thread of their own: what it sees has to be committed.
pytestmark = pytest.mark.django_db(transaction=True)


def run(verification: Verification) -> Verification:
    run_verification(str(verification.pk))
    verification.refresh_from_db()
    return verification


def test_brightness_is_recorded_with_its_parameter_and_grey_levels() -> None:
    verification = run(queued(seconds=120.0, space="brightness", norm="linf"))

    assert (verification.status, verification.error) == (Verification.Status.CONVERGED, "")
    assert verification.upper is not None and 0 < verification.lower <= verification.upper
    example, game = verification.example, verification.game
    assert example is not None and game is not None and verification.lower_grey_levels is not None
    assert abs(example["parameters"]["brightness"]) == pytest.approx(verification.upper)
    assert example["grey_levels"]["linf"] <= 255 * verification.upper * (1 + 1e-9)
    assert 0 < verification.lower_grey_levels <= example["grey_levels"]["l2"]
    assert verification.realisation_rms is None
    assert (game["flows"], game["strategy"], bool(game["heat"])) == ([], [], True)

    kinds = set(verification.artifacts.values_list("kind", flat=True))
    assert {Artifact.Kind.PERTURBED_FRAME, Artifact.Kind.FRAME_DIFFERENCE} <= kinds
    assert not kinds & {Artifact.Kind.ADVERSARIAL_FLOWS, Artifact.Kind.FLOW_MAGNITUDE}
    result = json.loads(verification.artifacts.get(kind=Artifact.Kind.RESULT).file.read())
    assert result["upper_parameters"] == example["parameters"]
    assert (result["upper_grey_levels"], result["lower_grey_levels"]) == (
        example["grey_levels"],
        verification.lower_grey_levels,
    )


def test_a_space_of_flows_has_grey_levels_and_no_parameters() -> None:
    verification = run(queued(seconds=5.0, space="translation"))

    assert verification.example is not None and verification.example["parameters"] is None
    assert set(verification.example["grey_levels"]) == {"l1", "l2", "linf"}
    assert verification.lower_grey_levels is None
