"""Personal tokens: made once in a browser, used by programs, refused when revoked or expired."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from tests.factories import make_team, make_user
from tests.web.api_support import make_running, signed_in
from verification.models import ApiToken

pytestmark = pytest.mark.django_db


def bearer(token: str, scheme: str = "Bearer") -> APIClient:
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION=f"{scheme} {token}")
    return client


@pytest.fixture
def made() -> dict[str, str]:
    """The answer that created a token of a user with a team."""
    user = make_user("ada")
    make_team(user)
    answer: dict[str, str] = signed_in(user).post("/api/v1/tokens/", {"name": "laptop", "days": 30}).json()
    return answer


def test_a_token_opens_what_its_user_may_see(made: dict[str, str]) -> None:
    assert made["name"] == "laptop"
    assert bearer(made["token"]).get("/api/v1/teams/").json()["count"] == 1


def test_the_scheme_may_be_written_in_any_case(made: dict[str, str]) -> None:
    assert bearer(made["token"], "bearer").get("/api/v1/teams/").status_code == 200


def test_a_token_writes_without_a_csrf_token(made: dict[str, str]) -> None:
    team = ApiToken.objects.get().user.teams.get()
    running = make_running(team)
    response = bearer(made["token"]).post(f"/api/v1/verifications/{running.pk}/cancel/")
    assert response.status_code == 200


def test_the_token_is_shown_once_and_not_kept(made: dict[str, str]) -> None:
    client = bearer(made["token"])
    (listed,) = client.get("/api/v1/tokens/").json()["results"]
    assert "token" not in listed
    assert "digest" not in listed
    assert made["token"] not in ApiToken.objects.get().digest


def test_use_is_remembered(made: dict[str, str]) -> None:
    assert ApiToken.objects.get().last_used_at is None
    bearer(made["token"]).get("/api/v1/teams/")
    assert ApiToken.objects.get().last_used_at is not None


def test_use_is_not_written_at_every_request(made: dict[str, str]) -> None:
    client = bearer(made["token"])
    client.get("/api/v1/teams/")
    first = ApiToken.objects.get().last_used_at
    client.get("/api/v1/teams/")
    assert ApiToken.objects.get().last_used_at == first


def _refused(client: APIClient) -> bool:
    response = client.get("/api/v1/teams/")
    return response.status_code == 401 and response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_token_is_refused(made: dict[str, str]) -> None:
    client = bearer(made["token"])
    assert client.delete(f"/api/v1/tokens/{made['id']}/").status_code == 204
    assert _refused(client)


def test_an_expired_token_is_refused(made: dict[str, str]) -> None:
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert _refused(bearer(made["token"]))


def test_the_token_of_a_closed_account_is_refused(made: dict[str, str]) -> None:
    ApiToken.objects.get().user.__class__.objects.update(is_active=False)
    assert _refused(bearer(made["token"]))


@pytest.mark.parametrize("wrong", ["", "nonsense", "two words", "gänseblümchen"])
def test_anything_else_is_refused(made: dict[str, str], wrong: str) -> None:
    assert _refused(bearer(wrong))


def test_a_wrong_token_is_refused_even_beside_a_good_session(made: dict[str, str]) -> None:
    client = signed_in(ApiToken.objects.get().user)
    client.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
    assert _refused(client)


def test_a_token_cannot_make_tokens(made: dict[str, str]) -> None:
    response = bearer(made["token"]).post("/api/v1/tokens/", {"name": "for ever"})
    assert response.status_code == 403
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x", "days": 0}, {"name": "x", "days": "soon"}])
def test_a_token_needs_a_name_and_sensible_days(body: dict[str, Any]) -> None:
    user = make_user()
    assert signed_in(user).post("/api/v1/tokens/", body).status_code == 400
    assert not ApiToken.objects.exists()
