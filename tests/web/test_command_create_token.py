"""`manage.py create_token`: tokens from the command line."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from tests.factories import make_user

pytestmark = pytest.mark.django_db


def create(*arguments: str, **options: Any) -> str:
    """The last line of what the command prints: the token."""
    out = io.StringIO()
    call_command("create_token", *arguments, stdout=out, **options)
    return out.getvalue().strip().splitlines()[-1]


def test_the_token_opens_the_api_for_its_user() -> None:
    user = make_user("ada")
    client = APIClient(headers={"authorization": f"Bearer {create('ada', name='scripts', days=7)}"})
    assert client.get("/api/v1/verifications/").status_code == 200
    assert user.api_tokens.get().name == "scripts"


def test_an_unknown_user_is_refused_with_what_to_do() -> None:
    with pytest.raises(CommandError, match="create_user"):
        create("nobody")


def test_days_that_make_no_sense_are_refused() -> None:
    user = make_user("ada")
    with pytest.raises(CommandError, match="not 0"):
        create("ada", days=0)
    assert not user.api_tokens.exists()
