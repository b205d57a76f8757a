"""`manage.py create_user NAME`: an account, with a password that is read or made up."""

import secrets
import sys
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from verification.services import teams
from verification.services.errors import ServiceError


class Command(BaseCommand):
    """Makes an account; prints its password when it has made one up."""

    help = "Create an account. Without --password-stdin a random password is made and printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the name to log in with")
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        parser.add_argument("--team", metavar="NAME", help="also make a team that the account owns")
        parser.add_argument("--administrator", action="store_true", help="may use the administration pages")

    def handle(self, *args: Any, **options: Any) -> None:
        User = get_user_model()
        user = User(username=options["name"])
        user.is_staff = user.is_superuser = options["administrator"]
        password = sys.stdin.readline().rstrip("\r\n") if options["password_stdin"] else secrets.token_urlsafe(12)
        user.set_password(password)
        try:
            validate_password(password, user)
            with transaction.atomic():
                user.full_clean()
                user.save()
                if options["team"]:
                    teams.create_team(user, options["team"])
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Created {user.username}.")
        if not options["password_stdin"]:
            self.stdout.write(f"Password: {password}   (shown only this once)")
