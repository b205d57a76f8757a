"""The operators' pages: open to superusers, closed to everyone else."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import make_team, make_user
from verification.services import tokens

pytestmark = pytest.mark.django_db


def pages() -> list[str]:
    user = make_user()
    team = make_team(user)
    token, _ = tokens.create_token(user, "laptop")
    return [
        "/admin/verification/team/",
        f"/admin/verification/team/{team.pk}/change/",
        "/admin/verification/apitoken/",
        f"/admin/verification/apitoken/{token.pk}/change/",
    ]


def test_an_operator_sees_teams_and_tokens(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    for page in pages():
        assert client.get(page).status_code == 200, page
    assert client.get("/admin/verification/apitoken/add/").status_code == 403


def test_members_are_sent_to_a_login(client: Client) -> None:
    client.force_login(make_user())
    for page in pages():
        assert client.get(page).status_code == 302, page
