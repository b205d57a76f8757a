"""Settings from the environment: the defaults work, wrong values stop the start with one line that helps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from pytest_django import Settings

from flowverify import checks, environment, paths

ROOT = Path(__file__).resolve().parents[2]


def run_check(home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`manage.py diffsettings` under these variables and no others of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWVERIFY", "DJANGO"))}
    command = [sys.executable, "-c", "from flowverify import settings as s; print(s.FLOWVERIFY_REDIS_URL, s.DEBUG)"]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=kept | {"FLOWVERIFY_HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_new_home_needs_nothing(tmp_path: Path) -> None:
    home = tmp_path / "new"
    run = run_check(home)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [f"unix://{home}/valkey.sock?db=0", "False"]
    key = home / "secret_key"
    assert key.stat().st_mode & 0o077 == 0, "readable by others"
    before = key.read_text()
    run_check(home)
    assert key.read_text() == before


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("FLOWVERIFY_DEBUG", "maybe", "yes or no"),
        ("FLOWVERIFY_REDIS_URL", "http://somewhere", "redis://"),
        ("FLOWVERIFY_BROKER_URL", "somewhere", "redis://"),
        ("FLOWVERIFY_MAX_UPLOAD_BYTES", "2GB", "whole number"),
        ("FLOWVERIFY_MAX_UPLOAD_BYTES", "-1", "above zero"),
        ("DATABASE_URL", "somewhere", "postgres://"),
    ],
)
def test_a_wrong_value_stops_the_start(tmp_path: Path, name: str, value: str, words: str) -> None:
    run = run_check(tmp_path, **{name: value})
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert name in last
    assert words in last
    assert value in last


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImproperlyConfigured, match="cannot be created"):
        paths.make_home(tmp_path / "file" / "home")


def test_the_socket_of_a_deep_home_is_short_and_always_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30)
    socket = paths.valkey_socket(deep)
    assert len(os.fsencode(socket)) <= paths.MAX_SOCKET_PATH
    assert socket == paths.valkey_socket(deep)
    assert socket != paths.valkey_socket(tmp_path / ("deep" * 31))


def test_one_key_for_processes_that_start_at_once(tmp_path: Path) -> None:
    script = "import sys, pathlib; from flowverify import paths; print(paths.secret_key(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", script, str(tmp_path)]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    keys = {process.communicate()[0] for process in running}
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_flags_and_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, value in (("yes", True), ("1", True), ("Off", False), ("0", False), ("", True)):
        monkeypatch.setenv("FLOWVERIFY_SOMETHING", text)
        assert environment.flag("FLOWVERIFY_SOMETHING", True) is value
    monkeypatch.setenv("FLOWVERIFY_SOMETHING", " a.example , b.example,")
    assert environment.words("FLOWVERIFY_SOMETHING", []) == ["a.example", "b.example"]


@pytest.mark.django_db
def test_sqlite_waits_and_keeps_its_promises() -> None:
    with connection.cursor() as cursor:
        pragmas = {
            name: cursor.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 20_000}


def ids(messages: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]


def test_checks_find_what_is_misconfigured(settings: Settings, tmp_path: Path) -> None:
    assert ids(checks.check_home(None)) == []
    settings.FLOWVERIFY_HOME = tmp_path / "missing"
    assert ids(checks.check_home(None)) == ["flowverify.E001"]
    assert ids(checks.check_channel_layer(None)) == ["flowverify.W001"]
    settings.CHANNEL_LAYERS = {}
    assert ids(checks.check_channel_layer(None)) == ["flowverify.E002"]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer"}}
    assert ids(checks.check_channel_layer(None)) == ["flowverify.E002"]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}}
    assert ids(checks.check_channel_layer(None)) == []
    settings.TIME_ZONE = "Europe/London"
    assert ids(checks.check_time_zone(None)) == ["flowverify.E003"]
    assert ids(checks.check_secret_key(None)) == []
    settings.SECRET_KEY = "guess"
    assert ids(checks.check_secret_key(None)) == ["flowverify.E004"]


def test_checks_of_hosts(settings: Settings) -> None:
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["localhost"]
    assert ids(checks.check_hosts(None)) == []
    settings.ALLOWED_HOSTS = []
    assert ids(checks.check_hosts(None)) == ["flowverify.E005"]
    settings.ALLOWED_HOSTS = ["*"]
    assert ids(checks.check_hosts(None)) == ["flowverify.W002"]
    settings.DEBUG = True
    assert ids(checks.check_hosts(None)) == []
