"""The real server for tests: `manage.py serve` in a process of its own, with worker, broker and database.

with RealServer(tmp_path / "home") as server:
    session = server.login()                     # requests.Session of the first user, or of (name, password)
    session.get(server.url + "/videos/")
    server.shell("from verification.models import Video; print(Video.objects.count())")
"""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import requests

from flowverify.supervisor.home import occupant
from tests.factories import make_video_file
from tests.live.undecided import make_undecided_file

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")


def wait_for(condition: Callable[[], T | None], seconds: float, what: str) -> T:
    """Ask `condition` until it gives something true; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


class RealServer:
    """A whole server on `home`; port 0 takes a free one. A context manager, or `start` and `stop`."""

    def __init__(self, home: Path, port: int = 0, *, demo: bool = False, environment: dict[str, str] | None = None):
        self.home = home
        self.port = port
        self.demo = demo
        self.lines: list[str] = []
        self.password = ""
        self.url = ""
        # The settings of the tests (no broker, their own home) are in this process's environment: not for the
        # server.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWVERIFY_", "DJANGO_"))}
        kept.pop("DATABASE_URL", None)
        self.environment = kept | {"FLOWVERIFY_HOME": str(home), "OMP_NUM_THREADS": "1"} | (environment or {})
        self.process: subprocess.Popen[str] | None = None
        self._api: requests.Session | None = None
        self._material: dict[str, object] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- The server itself ---

    def start(self, seconds: float = 90.0) -> None:
        """Start it and wait until it answers."""
        self.lines.clear()
        self._api = None
        self.process = subprocess.Popen(
            [
                sys.executable,
                "manage.py",
                "serve",
                "--port",
                str(self.port),
                *([] if self.demo else ["--no-demo"]),
            ],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        try:
            ready = wait_for(lambda: self._said(r"is ready at (http\S+)/"), seconds, "the server is ready")
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}\n{self.output}\n{self.logs()}") from None
        self.url = ready.group(1)
        self.port = int(self.url.rpartition(":")[2])
        if first := self._said(r"password: (\S+)"):
            self.password = first.group(1)

    def stop(self, how: signal.Signals = signal.SIGINT, seconds: float = 30.0) -> int:
        """Ask it to stop, as Ctrl-C does, and return its exit code; whatever is left is killed."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout=seconds)
        finally:
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        """End the supervisor at once, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip())

    def _said(self, pattern: str) -> re.Match[str] | None:
        assert self.process is not None
        found = re.search(pattern, self.output)
        if found is None and self.process.poll() is not None:
            raise AssertionError(f"the server ended with exit code {self.process.returncode}")
        return found

    @property
    def output(self) -> str:
        """All that it has printed."""
        return "\n".join(self.lines)

    def logs(self) -> str:
        """The end of each log, for the message of a failed test."""
        files = sorted((self.home / "logs").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-3000:]}" for file in files)

    # --- Its parts ---

    def child(self, name: str) -> int:
        """The process of "web", "worker" or "broker"."""
        return wait_for(lambda: occupant(self.home, name), 30, f"a {name} has started").process

    def kill_child(self, name: str) -> int:
        """End one part at once and return the process it was."""
        process = self.child(name)
        os.kill(process, signal.SIGKILL)
        return process

    # --- Its people and its data ---

    def manage(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a manage.py command on the same home."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def shell(self, code: str) -> str:
        """Run Python with the server's database and return what it prints."""
        run = self.manage("shell", "--no-imports", "-c", code)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    def sql(self, statement: str, *values: object) -> None:
        """Change the server's database at once, where `shell` would take seconds."""
        with contextlib.closing(sqlite3.connect(self.home / "db.sqlite3", timeout=20)) as database, database:
            database.execute(statement, values)

    def create_user(self, name: str, password: str, *, team: str | None = None) -> None:
        """An account, and a team of its own if one is named."""
        arguments = [name, "--password-stdin", *(["--team", team] if team else [])]
        run = self.manage("create_user", *arguments, stdin=password)
        assert run.returncode == 0, run.stderr

    def create_token(self, user: str = "admin") -> str:
        """A token for `Authorization: Bearer`."""
        run = self.manage("create_token", user)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip().splitlines()[-1]

    def ask(self, **question: object) -> str:
        """Ask over the API and return the id of the verification. `question`: as the API takes it.

        Unless given, video and classifier are small made files of the team "Test", which the first call makes.
        """
        if self._material is None:
            self._material = self._make_material()
        answer = self.api("verifications/", "POST", json=self._material | question)
        return str(answer["id"])

    def _make_material(self) -> dict[str, object]:
        video = make_video_file(self.home / "made" / "clip.avi", seed=1)
        classifier = make_undecided_file(self.home / "made" / "weights.safetensors", video, seed=1)
        made = self.shell(
            f"""
from pathlib import Path
from django.contrib.auth.models import User
from verification.services import classifiers, teams, videos
user = User.objects.get(username="admin")
team = teams.create_team(user, "Test")
print(videos.create_video(user, team, Path({str(video)!r}), "clip.avi").pk)
print(classifiers.create_classifier(user, team, Path({str(classifier)!r}), "weights.safetensors").pk)
"""
        )
        video_id, classifier_id = made.split()
        return {"video": video_id, "classifier": classifier_id}

    def api(self, path: str, method: str = "GET", **options: Any) -> Any:
        """What the API answers the first user under /api/v1/, as JSON."""
        if self._api is None:
            self._api = requests.Session()
            self._api.headers["Authorization"] = f"Bearer {self.create_token()}"
        answer = self._api.request(method, f"{self.url}/api/v1/{path}", timeout=30, **options)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def bounds(self, verification_id: str) -> list[dict[str, Any]]:
        """Every bound that the API knows, in order."""
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["number"] if found else 0
            page = self.api(f"verifications/{verification_id}/bounds/?after={after}")
            found += page["results"]
            if not page["more"]:
                return found

    def login(self, name: str = "admin", password: str | None = None) -> requests.Session:
        """A session that is logged in, with the header that Django wants on writing requests."""
        session = requests.Session()
        session.headers["Referer"] = self.url + "/"
        session.get(self.url + "/login/", timeout=30)
        form = {"username": name, "password": password or self.password}
        token = {"csrfmiddlewaretoken": session.cookies["csrftoken"]}
        answer = session.post(self.url + "/login/", data=form | token, timeout=30, allow_redirects=False)
        assert answer.status_code == 302, f"login answered {answer.status_code}: {answer.text[:500]}"
        session.headers["X-CSRFToken"] = session.cookies["csrftoken"] or ""
        return session
