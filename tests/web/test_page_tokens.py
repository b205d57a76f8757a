"""Access tokens on the pages: shown once, then only their names."""

import re

import pytest

from tests.factories import make_user
from verification.models import ApiToken
from verification.services.tokens import authenticate, create_token

pytestmark = pytest.mark.django_db


def test_a_token_is_shown_once_and_works(client, user):
    answer = client.post("/tokens/", {"name": "laptop", "days": "30"})
    found = re.search(r'id="token" value="([^"]+)"', answer.content.decode())
    assert found
    assert authenticate(found[1]) == user
    assert "no-store" in answer["Cache-Control"]
    later = client.get("/tokens/").content.decode()
    assert found[1] not in later
    assert "laptop" in later


def test_a_token_can_last_until_it_is_revoked(client):
    client.post("/tokens/", {"name": "laptop", "days": ""})
    assert ApiToken.objects.get().expires_at is None


@pytest.mark.parametrize(
    ("field", "answers"),
    [
        ("name", {"name": "", "days": "30"}),
        ("name", {"name": "x" * 101, "days": "30"}),
        ("days", {"name": "laptop", "days": "31"}),
    ],
)
def test_a_wrong_answer_makes_no_token(client, field, answers):
    answer = client.post("/tokens/", answers)
    assert answer.status_code == 400
    assert answer.context["form"].errors[field]
    assert not ApiToken.objects.exists()


def test_a_revoked_token_stops_working(client, user):
    token, plain = create_token(user, "laptop")
    client.post(f"/tokens/{token.pk}/revoke/")
    assert authenticate(plain) is None
    assert "revoked" in client.get("/tokens/").content.decode()


def test_tokens_of_others_are_neither_seen_nor_revoked(client):
    token, plain = create_token(make_user("mallory"), "their laptop")
    assert "their laptop" not in client.get("/tokens/").content.decode()
    assert client.post(f"/tokens/{token.pk}/revoke/").status_code == 404
    assert authenticate(plain) is not None
