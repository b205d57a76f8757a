"""`manage.py create_token USER`: a token for scripts that use the API."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from verification.services import tokens
from verification.services.errors import ServiceError


class Command(BaseCommand):
    """Prints a new token on the last line; only its digest is kept."""

    help = "Create an API token for a user and print it once. Use it as 'Authorization: Bearer TOKEN'."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the name of the account that the token acts for")
        parser.add_argument("--name", default="command line", help="what it is for, as shown in the list of tokens")
        parser.add_argument("--days", type=int, help="days until it expires (default: never)")

    def handle(self, *args: Any, **options: Any) -> None:
        User = get_user_model()
        try:
            user = User.objects.get(username=options["user"])
        except User.DoesNotExist as error:
            raise CommandError(f"there is no user {options['user']!r}; `manage.py create_user` makes one") from error
        try:
            _, plain = tokens.create_token(user, options["name"], days=options["days"])
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(plain)
