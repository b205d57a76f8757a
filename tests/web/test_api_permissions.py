"""Who may do what over the API: every endpoint as a visitor, as a member of another team, and as a member."""

from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from rest_framework.test import APIClient

from tests.factories import make_team, make_user
from tests.web.api_support import make_ended, make_running, signed_in
from verification.models import Team
from verification.services.shares import create_share
from verification.services.tokens import create_token

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class World:
    """A member of a team with objects, a stranger with another team, a visitor; and the objects' ids."""

    member: APIClient
    stranger: APIClient
    visitor: APIClient
    team: Team
    ids: dict[str, str]


@pytest.fixture
def world() -> World:
    user, other = make_user("ada"), make_user("mallory")
    team = make_team(user, name="Secret team")
    make_team(other)
    verification = make_ended(team)
    objects = {
        "team": team,
        "video": verification.video,
        "classifier": verification.classifier,
        "ended": verification,
        "running": make_running(team),
        "artifact": verification.artifacts.get(),
        "share": create_share(user, verification),
        "token": create_token(user, "laptop")[0],
    }
    ids = {name: str(item.pk) for name, item in objects.items()}
    return World(signed_in(user), signed_in(other), signed_in(), team, ids)


OBJECTS = [
    "get teams/{team}/",
    "get videos/{video}/",
    "get classifiers/{classifier}/",
    "get verifications/{ended}/",
    "get verifications/{ended}/bounds/",
    "get verifications/{ended}/events/",
    "get verifications/{ended}/artifacts/",
    "get artifacts/{artifact}/content/",
    "get shares/{share}/",
    "get tokens/{token}/",
    "post teams/{team}/invitations/",
    "post verifications/{running}/cancel/",
    "post verifications/{ended}/share/",
    "delete shares/{share}/",
    "delete tokens/{token}/",
    "delete verifications/{ended}/",
]
LISTS = ["teams", "videos", "classifiers", "verifications", "shares", "tokens"]


def send(client: APIClient, request_line: str, world: World) -> HttpResponse:
    method, address = request_line.split()
    return client.generic(method.upper(), f"/api/v1/{address.format(**world.ids)}")


@pytest.mark.parametrize("request_line", OBJECTS)
def test_a_member_may(world: World, request_line: str) -> None:
    response = send(world.member, request_line, world)
    assert response.status_code in {200, 201, 204}


def test_for_another_team_the_object_does_not_exist(world: World) -> None:
    for request_line in OBJECTS:
        response = send(world.stranger, request_line, world)
        assert response.status_code == 404, request_line
        assert world.team.name not in response.content.decode()


def test_a_visitor_is_asked_to_sign_in(world: World) -> None:
    for request_line in OBJECTS:
        response = send(world.visitor, request_line, world)
        assert response.status_code == 401, request_line
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_lists_hold_only_what_belongs_to_ones_teams(world: World) -> None:
    for name in LISTS:
        mine = world.member.get(f"/api/v1/{name}/").json()
        theirs = world.stranger.get(f"/api/v1/{name}/").json()
        assert mine["count"] > 0, name
        assert not {row["id"] for row in mine["results"]} & {row["id"] for row in theirs["results"]}, name


def test_lists_are_closed_to_visitors(world: World) -> None:
    for name in [*LISTS, "schema", "docs"]:
        assert world.visitor.get(f"/api/v1/{name}/").status_code == 401, name


def test_a_visitor_cannot_create(world: World) -> None:
    for name in ("teams", "verifications", "tokens"):
        assert world.visitor.post(f"/api/v1/{name}/", {"name": "x"}).status_code == 401, name


def test_a_verification_cannot_use_files_of_another_team(world: World) -> None:
    body = {
        "video": world.ids["video"],
        "classifier": world.ids["classifier"],
    }
    response = world.stranger.post("/api/v1/verifications/", body)
    assert response.status_code == 400
    assert set(response.json()) == {"video", "classifier"}


def test_only_an_owner_invites(world: World) -> None:
    plain = make_user("grace", team=world.team)
    response = signed_in(plain).post(f"/api/v1/teams/{world.team.pk}/invitations/")
    assert response.status_code == 403
    assert "owner" in response.json()["detail"]


def test_a_session_needs_its_csrf_token_to_write(world: World) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="ada"))
    response = client.post(f"/api/v1/verifications/{world.ids['running']}/cancel/")
    assert response.status_code == 403
    assert "CSRF" in response.json()["detail"]
