"""Personal tokens: shown once, kept as a digest, closed by time, by hand and with the account."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import make_user
from verification.models import ApiToken
from verification.services import tokens
from verification.services.errors import Invalid, NotAllowed

pytestmark = pytest.mark.django_db


def test_a_token_stands_for_its_user() -> None:
    user = make_user()
    token, plain = tokens.create_token(user, "laptop")
    assert plain.startswith("fv_")
    assert tokens.authenticate(plain) == user
    token.refresh_from_db()
    assert token.last_used_at is not None


def test_only_the_digest_is_kept() -> None:
    _, plain = tokens.create_token(make_user(), "laptop")
    row = ApiToken.objects.values().get()
    assert not any(plain in str(value) or plain.removeprefix("fv_") in str(value) for value in row.values())


def test_another_text_is_nobody() -> None:
    _, plain = tokens.create_token(make_user(), "laptop")
    for text in ("", "fv_", plain[:-1], plain + "x", plain.upper(), ApiToken.objects.get().digest):
        assert tokens.authenticate(text) is None


def test_an_expired_token_is_nobody() -> None:
    token, plain = tokens.create_token(make_user(), "laptop", days=1)
    assert tokens.authenticate(plain) is not None
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert tokens.authenticate(plain) is None


def test_a_revoked_token_is_nobody() -> None:
    user = make_user()
    token, plain = tokens.create_token(user, "laptop")
    tokens.revoke_token(user, token)
    assert tokens.authenticate(plain) is None


def test_the_token_of_a_closed_account_is_nobody() -> None:
    user = make_user()
    _, plain = tokens.create_token(user, "laptop")
    user.is_active = False
    user.save()
    assert tokens.authenticate(plain) is None


def test_somebody_else_cannot_revoke_it() -> None:
    token, plain = tokens.create_token(make_user(), "laptop")
    with pytest.raises(NotAllowed):
        tokens.revoke_token(make_user(), token)
    assert tokens.authenticate(plain) is not None


@pytest.mark.parametrize(("name", "days", "field"), [(" ", None, "name"), ("n" * 101, None, "name"), ("a", 0, "days")])
def test_a_token_that_makes_no_sense(name: str, days: int | None, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        tokens.create_token(make_user(), name, days)
    assert refused.value.field == field
    assert not ApiToken.objects.exists()
