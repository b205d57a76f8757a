"""`for_user` on every model: members see their team's rows, everyone else sees none."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model

from tests.factories import make_finished, make_team, make_user
from verification.models import (
    ApiToken,
    Artifact,
    Bound,
    Classifier,
    Event,
    Invitation,
    Membership,
    ShareLink,
    Team,
    Upload,
    Verification,
    Video,
)
from verification.services import shares, teams, tokens

pytestmark = pytest.mark.django_db

SCOPED = (
    Artifact,
    Bound,
    Classifier,
    Event,
    Invitation,
    Membership,
    ShareLink,
    Team,
    Upload,
    Verification,
    Video,
)


@pytest.fixture
def owner() -> User:
    """The owner of a team that has at least one row of every model."""
    user = make_user()
    team = make_team(user, make_user("colleague"))
    verification = make_finished(team, user)
    Event.objects.create(verification=verification, number=1, seconds=0.0, text="began")
    Upload.objects.create(team=team, user=user, kind="video", filename="a.avi", length=10)
    shares.create_share(user, verification)
    teams.invite(user, team)
    tokens.create_token(user, "laptop")
    return user


def test_no_model_is_forgotten() -> None:
    assert set(apps.get_app_config("verification").get_models()) == {*SCOPED, ApiToken}


@pytest.mark.parametrize("model", SCOPED)
def test_members_see_all_rows_once(owner: User, model: type[Model]) -> None:
    assert model._default_manager.exists()
    for member in (owner, User.objects.get(username="colleague")):
        seen = list(model._default_manager.for_user(member))  # type: ignore[attr-defined]
        assert sorted(row.pk for row in seen) == sorted(model._default_manager.values_list("pk", flat=True))


def in_another_team() -> User:
    stranger = make_user()
    make_finished(make_team(stranger), stranger)
    return stranger


@pytest.mark.parametrize("model", [*SCOPED, ApiToken])
@pytest.mark.parametrize(
    "somebody",
    [
        make_user,
        in_another_team,
        AnonymousUser,
        lambda: User.objects.create_superuser("root"),
    ],
    ids=["without a team", "in another team", "visitor", "superuser"],
)
def test_others_see_none_of_them(owner: User, model: type[Model], somebody: Callable[[], User | AnonymousUser]) -> None:
    hidden = set(model._default_manager.values_list("pk", flat=True))
    seen = model._default_manager.for_user(somebody())  # type: ignore[attr-defined]
    assert hidden
    assert not hidden & {row.pk for row in seen}


def test_colleagues_do_not_see_each_other_s_tokens(owner: User) -> None:
    assert ApiToken.objects.for_user(owner).count() == 1
    assert not ApiToken.objects.for_user(User.objects.get(username="colleague")).exists()
