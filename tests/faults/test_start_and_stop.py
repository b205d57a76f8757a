"""Starting, stopping and starting again: nothing is left behind, and what was there goes on."""

import signal
import socket
import time
from pathlib import Path

import pytest

from tests.faults.watching import (
    assert_monotone,
    cancelled,
    processes_on,
    resumed,
    running_with_bounds,
    status,
    with_checkpoint,
)
from tests.server import RealServer, wait_for


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_ctrl_c_leaves_no_process_and_the_next_start_goes_on(home: Path) -> None:
    server = RealServer(home)
    server.start()
    verification = server.ask(seconds=300.0)
    before = running_with_bounds(server, verification)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 12
    assert processes_on(home) == []
    password = server.password
    server.start()
    assert "password:" not in server.output  # shown once
    assert server.login(password=password).get(server.url + "/", timeout=30).status_code == 200
    resumed(server, verification)
    assert status(server, verification)["attempts"] == 1  # being stopped in order is not a failed attempt
    cancelled(server, verification)
    bounds = server.bounds(verification)
    assert bounds[: len(before)] == before
    assert_monotone(bounds)
    server.stop(signal.SIGTERM)
    assert processes_on(home) == []


def test_a_killed_supervisor_leaves_nothing_that_hinders_the_next_start(home: Path) -> None:
    server = RealServer(home)
    server.start()
    verification = server.ask(seconds=300.0)
    with_checkpoint(server, verification)
    server.kill()
    server.start()
    resumed(server, verification)
    server.kill()
    wait_for(lambda: not processes_on(home), 20, "the children have noticed and stopped")


def test_a_port_in_use_is_said_before_anything_starts(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        run = RealServer(home).manage("serve", "--no-demo", "--port", str(port))
    assert run.returncode == 1
    assert run.stderr.strip() == (
        f"CommandError: port {port} is in use by another program; choose another, for example --port {port % 65000 + 1}"
    )
    assert not (home / "db.sqlite3").exists()


def test_a_port_that_is_none_is_refused(home: Path) -> None:
    run = RealServer(home).manage("serve", "--port", "70000")
    assert run.returncode == 1
    assert "70000 is not a port" in run.stderr


def test_a_second_server_on_the_same_home_is_told_where_the_first_is(server: RealServer) -> None:
    run = server.manage("serve", "--no-demo", "--port", "0")
    assert run.returncode == 1
    assert f"a server already runs on {server.home}" in run.stderr
    assert server.url in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
