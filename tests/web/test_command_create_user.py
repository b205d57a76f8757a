"""`manage.py create_user`: accounts from the command line."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from verification.models import Membership, Team

pytestmark = pytest.mark.django_db


def create(*arguments: str, **options: Any) -> str:
    """What the command prints."""
    out = io.StringIO()
    call_command("create_user", *arguments, stdout=out, **options)
    return out.getvalue()


def test_it_makes_up_a_password_and_shows_it_once() -> None:
    printed = create("ada")
    password = printed.split("Password: ")[1].split()[0]
    assert User.objects.get(username="ada").check_password(password)
    assert not User.objects.get(username="ada").is_staff


def test_it_reads_the_password_and_does_not_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a long and unusual one\n"))
    printed = create("ada", "--password-stdin")
    assert "unusual" not in printed
    assert User.objects.get(username="ada").check_password("a long and unusual one")


def test_it_makes_a_team_that_the_account_owns() -> None:
    create("ada", "--team", "Optics")
    assert Membership.objects.get(user__username="ada", team__name="Optics").role == Membership.Role.OWNER


@pytest.mark.parametrize(
    ("name", "password", "complaint"),
    [
        ("ada", "short", "too short"),
        ("ada", "password", "too common"),
        ("not a name", "a long and unusual one", "valid username"),
        ("taken", "a long and unusual one", "already exists"),
    ],
)
def test_it_refuses_in_one_line_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, name: str, password: str, complaint: str
) -> None:
    User.objects.create_user("taken")
    monkeypatch.setattr("sys.stdin", io.StringIO(password))
    with pytest.raises(CommandError) as error:
        create(name, "--password-stdin")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)
    assert User.objects.count() == 1


def test_a_team_without_a_name_leaves_no_account_behind() -> None:
    with pytest.raises(CommandError, match="name"):
        create("ada", "--team", "   ")
    assert not User.objects.exists()
    assert not Team.objects.exists()
