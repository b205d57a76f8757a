"""Typed readers of environment variables: a wrong value stops the start and says what would be right."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

_env = environ.Env()
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def text(name: str, default: str = "") -> str:
    """The value without surrounding space; `default` when it is unset or blank."""
    return str(_env.str(name, default="")).strip() or default


def _read(name: str, default: T, convert: Callable[[str], T], wanted: str) -> T:
    raw = text(name)
    if not raw:
        return default
    try:
        return convert(raw)
    except (KeyError, ValueError) as error:
        raise ImproperlyConfigured(f"{name} must be {wanted}, not {raw!r}") from error


def flag(name: str, default: bool) -> bool:
    """A yes or no. django-environ reads every unknown word as no, so this one is stricter."""
    words = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
    return _read(name, default, lambda raw: words[raw.lower()], "yes or no")


def positive_int(name: str, default: int) -> int:
    """A whole number above zero."""

    def convert(raw: str) -> int:
        if (value := int(raw)) <= 0:
            raise ValueError(value)
        return value

    return _read(name, default, convert, "a whole number above zero")


def positive_float(name: str, default: float) -> float:
    """A finite number above zero."""

    def convert(raw: str) -> float:
        if not 0 < (value := float(raw)) < math.inf:
            raise ValueError(value)
        return value

    return _read(name, default, convert, "a number above zero")


def words(name: str, default: list[str]) -> list[str]:
    """A list separated by commas."""
    return _read(name, default, lambda raw: [part.strip() for part in raw.split(",") if part.strip()], "a list")


def directory(name: str, default: Path) -> Path:
    """An absolute path; relative ones count from the working directory, `~` is the home."""
    return Path(text(name, str(default))).expanduser().resolve()


def url(name: str, default: str, schemes: set[str]) -> str:
    """An address with one of `schemes`."""

    def convert(raw: str) -> str:
        if urlsplit(raw).scheme not in schemes:
            raise ValueError(raw)
        return raw

    wanted = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
    return _read(name, default, convert, f"an address that begins with {wanted}")


def database(name: str, default: dict[str, object]) -> dict[str, object]:
    """Django's database settings from an address such as postgres://user:password@host/name."""

    def convert(raw: str) -> dict[str, object]:
        settings = dict(_env.db_url_config(raw))
        if not settings.get("ENGINE"):
            raise ValueError(raw)
        return settings

    return _read(name, default, convert, "a database address such as postgres://user@host/name or sqlite:///file")
