"""In whose name a command acts."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management.base import CommandError


def find_owner(name: str | None = None) -> User:
    """The active user called `name`; without one, the first administrator, or else the first user. Raises CommandError."""
    users = get_user_model().objects.filter(is_active=True)
    if name is not None:
        users = users.filter(username=name)
    found = users.order_by("-is_superuser", "pk").first()
    if found is None:
        who = "there is no active user" if name is None else f"there is no active user {name!r}"
        raise CommandError(f"{who}; `manage.py create_user` makes one")
    return found
