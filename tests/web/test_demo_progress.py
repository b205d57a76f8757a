"""The demo's line in the console: what is proven, what was found, and the pages' word for the state."""

import pytest

from flowverify.supervisor.progress import describe
from tests.factories import make_team, make_user, make_verification, make_video
from tests.web.api_support import light_classifier
from verification.models import Verification

pytestmark = pytest.mark.django_db


@pytest.fixture
def verification() -> Verification:
    team = make_team(make_user("ada"))
    return make_verification(team, video=make_video(team), classifier=light_classifier(team))


def test_nothing_is_called_proven_before_it_is(verification: Verification) -> None:
    verification.status, verification.lower, verification.upper = "running", 0.0, None

    assert describe(verification) == "lower bound nothing proven yet   upper bound not found yet   running"


def test_bounds_have_units_and_a_spent_budget_is_called_so(verification: Verification) -> None:
    verification.status, verification.lower, verification.upper = "exhausted", 2.01567, 27.6191

    assert describe(verification) == "lower bound 2.015 px (proven)   upper bound 27.62 px (found)   budget spent"
