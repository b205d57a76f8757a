"""Teams over the API."""

from typing import Any

import pytest

from tests.factories import make_team, make_user
from tests.web.api_support import signed_in
from verification.models import Invitation, Team

pytestmark = pytest.mark.django_db


def test_who_creates_a_team_owns_it() -> None:
    client = signed_in(make_user("ada"))
    response = client.post("/api/v1/teams/", {"name": "Vision group"})
    assert response.status_code == 201
    assert response.json()["members"] == [{"username": "ada", "role": "owner"}]
    assert client.get("/api/v1/teams/").json()["results"] == [response.json()]


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
def test_a_team_needs_a_name(name: str) -> None:
    response = signed_in(make_user()).post("/api/v1/teams/", {"name": name})
    assert response.status_code == 400
    assert list(response.json()) == ["name"]
    assert not Team.objects.exists()


def test_an_owner_invites_by_link() -> None:
    owner = make_user()
    team = make_team(owner)
    response = signed_in(owner).post(f"/api/v1/teams/{team.pk}/invitations/", {"days": 3})
    assert response.status_code == 201
    invitation = Invitation.objects.get()
    assert response.json()["url"] == f"http://testserver/invitations/{invitation.token}/"


@pytest.mark.parametrize("days", [0, 366, "many"])
def test_an_invitation_lasts_a_sensible_time(days: Any) -> None:
    owner = make_user()
    response = signed_in(owner).post(f"/api/v1/teams/{make_team(owner).pk}/invitations/", {"days": days})
    assert response.status_code == 400
    assert not Invitation.objects.exists()
