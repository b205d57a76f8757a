"""A large body in one request: read as the application asks for it, not kept in memory, and nobody waits meanwhile."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

MEGABYTE = 1024 * 1024
TOTAL = 200 * MEGABYTE

# An application that counts a body's bytes, says at /peak how much memory the server ever used, and answers at once elsewhere.
SERVER = """
import resource, sys
from flowverify.supervisor.bodies import BodyServer

async def application(scope, receive, send):
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = str(peak if scope["path"] == "/peak" else size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer})

BodyServer(application, endpoints=["fd:fileno=" + sys.argv[1]], request_buffer_size=256 * 1024).run()
"""


@pytest.fixture
def address() -> Iterator[str]:
    """The server's address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        command = [sys.executable, "-c", SERVER, str(listening.fileno())]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()], cwd=Path(__file__).resolve().parents[2])
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        process.terminate()
        process.wait(timeout=10)


def ask(url: str, body: bytes | None = None) -> int:
    """The number that the server answers."""
    headers = {"Content-Type": "application/offset+octet-stream"}
    with urlopen(Request(url, body, headers, method="PATCH" if body is not None else "GET"), timeout=60) as answer:
        return int(answer.read())


def test_small_and_empty_bodies_arrive_whole(address: str) -> None:
    assert ask(address) == 0
    assert ask(address, b"") == 0
    assert ask(address, b"seven b") == 7
    assert ask(address, bytes(256 * 1024)) == 256 * 1024  # exactly one piece
    assert ask(address, bytes(256 * 1024 + 1)) == 256 * 1024 + 1


def test_a_large_body_costs_no_memory_and_nobody_waits(address: str) -> None:
    before = ask(address + "/peak")
    received: list[int] = []
    sender = threading.Thread(target=lambda: received.append(ask(address, bytes(TOTAL))))
    sender.start()
    waits = []
    while sender.is_alive():
        began = time.monotonic()
        ask(address)
        waits.append(time.monotonic() - began)
        time.sleep(0.02)
    sender.join()
    assert received == [TOTAL]
    assert (ask(address + "/peak") - before) * 1024 < TOTAL / 4
    assert len(waits) > 3
    assert max(waits) < 1.0
