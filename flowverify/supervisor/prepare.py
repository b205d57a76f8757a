"""All that must be there before the first request: tables, a first user, the demo."""

import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError

#: Only this machine may connect; a reverse proxy opens the server to others.
HOST = "127.0.0.1"
FIRST_USER = "admin"


@dataclass(frozen=True)
class FirstUser:
    """The account made on the first start. The password exists nowhere else: it is shown once."""

    name: str
    password: str


def listen(port: int) -> socket.socket:
    """Open the listening socket that the web child will use; 0 takes a free port.

    Raises `CommandError` before anything else is started when the port is taken.
    """
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((HOST, port))
        server.listen(128)
    except OverflowError as error:
        raise CommandError(f"{port} is not a port: choose one from 1 to 65535") from error
    except PermissionError as error:
        raise CommandError(f"port {port} needs administrator rights; choose one above 1023 with --port") from error
    except OSError as error:
        raise CommandError(
            f"port {port} is in use by another program; choose another, for example --port {port % 65000 + 1}"
        ) from error
    server.setblocking(False)
    return server


def migrate() -> None:
    """Bring the database up to date."""
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except OperationalError as error:
        raise CommandError(f"the database cannot be used: {error}") from error


def first_user() -> FirstUser | None:
    """Make an administrator with a random password if there is no account yet."""
    users = get_user_model().objects
    if users.exists():
        return None
    user = FirstUser(FIRST_USER, secrets.token_urlsafe(12))
    users.create_superuser(user.name, password=user.password)
    return user


def start_demo(log: Path) -> subprocess.Popen[bytes]:
    """Fetch the demo's footage and start its verification, whose id is the last line of `log` in the end.

    In a process of its own, because it loads the engine, which the supervisor does not need.
    """
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "start_demo"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def last_line(log: Path) -> str:
    """The last line of a log that is not empty."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
