"""The loop that starts everything, keeps it running and stops it in order."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.core.management.base import CommandError

from flowverify.supervisor import prepare
from flowverify.supervisor.child import Child, rotate
from flowverify.supervisor.home import occupied
from flowverify.supervisor.progress import DemoProgress

#: The supervisor looks after its children this often; a dead one is noticed within that time.
TICK_SECONDS = 0.25
#: Seconds each child has to stop. The worker checkpoints first.
STOP_SECONDS = {"worker": 8.0, "web": 5.0, "broker": 6.0}
READY_SECONDS = 90.0
ROTATE_SECONDS = 60.0


class Supervisor:
    """Runs one server: broker, web and worker on one home and one port."""

    def __init__(self, port: int, demo: bool, say: Callable[[str], None]) -> None:
        self.home: Path = settings.FLOWVERIFY_HOME
        self.port = port
        self.demo = demo
        self.say = say
        self.children: list[Child] = []
        self.demo_log = self.home / "logs" / "demo.log"
        self.demo_start: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._impatient = False

    def run(self) -> None:
        """Serve until Ctrl-C or SIGTERM. Raises `CommandError` when that cannot begin."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        with prepare.listen(self.port) as listener:
            self.port = listener.getsockname()[1]
            with occupied(self.home, self.address):
                self._serve(listener)

    @property
    def address(self) -> str:
        """Where a browser finds the server."""
        return f"http://{prepare.HOST}:{self.port}/"

    def _serve(self, listener: socket.socket) -> None:
        reading, writing = os.pipe()  # the lifeline: it closes when this process ends
        try:
            prepare.migrate()
            user = prepare.first_user()
            if user is not None:
                self.say(f"First user: {user.name}   password: {user.password}   (shown only this once)")
            self.children = self._plan(listener, reading)
            for child in self.children:
                child.start()
            if self.demo:
                self.demo_start = prepare.start_demo(self.demo_log)
            if self._wait_until_ready():
                self.say(f"FlowVerify is ready at {self.address} (Ctrl-C stops it; logs in {self.home / 'logs'})")
                self._look_after()
        finally:
            self._stop_children()
            os.close(writing)
            os.close(reading)

    def _plan(self, listener: socket.socket, lifeline: int) -> list[Child]:
        home, logs, descriptor = str(self.home), self.home / "logs", listener.fileno()
        children = [
            Child(
                "web",
                ["-m", "flowverify.supervisor.web", home, str(descriptor)],
                logs / "web.log",
                lifeline,
                (descriptor,),
            ),
            Child("worker", [str(settings.BASE_DIR / "manage.py"), "worker"], logs / "worker.log", lifeline),
        ]
        if str(settings.VALKEY_SOCKET) in settings.FLOWVERIFY_REDIS_URL:
            arguments = ["-m", "flowverify.supervisor.broker", home, str(settings.VALKEY_SOCKET)]
            children.insert(0, Child("broker", arguments, logs / "broker.log", lifeline))
        return children

    def _wait_until_ready(self) -> bool:
        """Wait for the first answer over HTTP; False when a person stops the server meanwhile."""
        deadline = time.monotonic() + READY_SECONDS
        web = next(child for child in self.children if child.name == "web")
        while not self._stop.is_set():
            self._revive()
            if self._answers():
                return True
            if web.starts > 2 or time.monotonic() > deadline:
                raise CommandError(f"the web server does not start; {web.log} says why")
        return False

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(prepare.HOST, self.port, timeout=1.0)
        try:
            connection.request("GET", "/login/")
            return connection.getresponse().status < 500
        except OSError:
            self._stop.wait(0.1)
            return False
        finally:
            connection.close()

    def _look_after(self) -> None:
        progress = DemoProgress(self.say, self.address)
        rotated = time.monotonic()
        while not self._stop.wait(TICK_SECONDS):
            self._revive()
            self._look_at_demo(progress)
            if time.monotonic() - rotated > ROTATE_SECONDS:
                rotated = time.monotonic()
                for child in self.children:
                    rotate(child.log)

    def _look_at_demo(self, progress: DemoProgress) -> None:
        if self.demo_start is None or (code := self.demo_start.poll()) is None:
            progress.tick()
            return
        self.demo_start = None
        line = prepare.last_line(self.demo_log)
        if code == 0:
            progress.follow(line)
        else:
            self.say(f"The demo did not start: {line.removeprefix('CommandError: ')}")

    def _revive(self) -> None:
        for child in self.children:
            if (ending := child.revive()) is not None:
                self.say(f"The {child.name} stopped ({ending}); starting it again.")

    def _stop_children(self) -> None:
        """Worker and web first: both still need the broker while they stop."""
        if self.demo_start is not None and self.demo_start.poll() is None:
            self.demo_start.kill()
            self.demo_start.wait()
        if self.children:
            self.say("Stopping.")
        self._stop_group([child for child in self.children if child.name != "broker"])
        self._stop_group([child for child in self.children if child.name == "broker"])

    def _stop_group(self, group: list[Child]) -> None:
        began = time.monotonic()
        for child in group:
            child.ask_to_stop()
        while waiting := [child for child in group if not child.stopped]:
            for child in waiting:
                if self._impatient or time.monotonic() - began > STOP_SECONDS[child.name]:
                    child.end()
            time.sleep(0.02)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """The first one stops the server in order, a second one at once."""
        if self._stop.is_set() and number == signal.SIGINT:
            self._impatient = True
        self._stop.set()
