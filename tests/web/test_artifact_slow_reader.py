"""Readers of slow lines: the server holds back the application instead of keeping the whole file in memory."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

MEGABYTE = 1024 * 1024
TOTAL = 64 * MEGABYTE

# An application that sends TOTAL bytes in pieces, and tells at /sent how many it got rid of so far.
SERVER = f"""
import sys
from flowverify.supervisor.patience import PatientServer

sent = 0

async def application(scope, receive, send):
    global sent
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    if scope["path"] == "/sent":
        await send({{"type": "http.response.body", "body": str(sent).encode()}})
        return
    sent = 0
    while sent < {TOTAL}:
        await send({{"type": "http.response.body", "body": bytes({MEGABYTE // 4}), "more_body": True}})
        sent += {MEGABYTE // 4}
    await send({{"type": "http.response.body", "body": b""}})

PatientServer(application, endpoints=["fd:fileno=" + sys.argv[1]]).run()
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine on which the server listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        command = [sys.executable, "-c", SERVER, str(listening.fileno())]
        root = Path(__file__).resolve().parents[2]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()], cwd=root)
        yield listening.getsockname()[1]
        process.terminate()
        process.wait(timeout=10)


def ask(port: int, path: str) -> socket.socket:
    """A connection over which `path` has been asked for, with small buffers and nothing read yet."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return connection


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(MEGABYTE):
        parts.append(part)
    connection.close()
    return b"".join(parts)


def sent(port: int) -> int:
    with urlopen(f"http://127.0.0.1:{port}/sent") as response:
        return int(response.read())


def settled(port: int) -> int:
    """How much the application has sent once that does not grow any more."""
    before = -1
    while (now := sent(port)) != before:
        before = now
        time.sleep(0.3)
    return now


def test_a_reader_that_does_not_read_stops_the_sending(port: int) -> None:
    reader = ask(port, "/file")
    begin = reader.recv(1024)
    assert 0 < settled(port) < TOTAL / 4
    assert (begin + read_all(reader)).count(0) == TOTAL


def test_a_reader_that_leaves_does_not_hold_up_others(port: int) -> None:
    reader = ask(port, "/file")
    assert reader.recv(1024)
    assert settled(port) < TOTAL / 4
    reader.close()
    started = time.monotonic()
    assert read_all(ask(port, "/file")).count(0) == TOTAL
    assert time.monotonic() - started < 15
