"""What the fault tests ask of a server, and of the processes of this machine."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.server import RealServer, wait_for

FINAL = {"converged", "certified", "refuted", "exhausted", "cancelled", "failed"}


def running_with_bounds(server: RealServer, verification: str, count: int = 3) -> list[dict[str, Any]]:
    """Wait until a verification has that many bounds; returns them."""

    def enough() -> list[dict[str, Any]] | None:
        found = server.bounds(verification)
        return found if len(found) >= count else None

    return wait_for(enough, 60, f"{count} bounds of {status(server, verification)}")


def status(server: RealServer, verification: str) -> dict[str, Any]:
    """The verification as the API tells it."""
    answer: dict[str, Any] = server.api(f"verifications/{verification}/")
    return answer


def cancelled(server: RealServer, verification: str) -> dict[str, Any]:
    """Cancel it, which keeps its bounds, and return it when it has ended."""
    server.api(f"verifications/{verification}/cancel/", "POST")
    return ended(server, verification)


def ended(server: RealServer, verification: str, seconds: float = 60) -> dict[str, Any]:
    """Wait until it has ended; returns it."""

    def final() -> dict[str, Any] | None:
        answer = status(server, verification)
        return answer if answer["status"] in FINAL else None

    return wait_for(final, seconds, "the verification has ended")


def with_checkpoint(server: RealServer, verification: str) -> None:
    """Wait until there is something to go on from."""
    folder = server.home / "media"
    wait_for(
        lambda: any(verification in str(path) for path in folder.rglob("checkpoint*")), 60, "a checkpoint is written"
    )


def resumed(server: RealServer, verification: str) -> None:
    """Wait until the worker says that it has gone on from a checkpoint."""

    def said() -> bool:
        events = server.api(f"verifications/{verification}/events/")["results"]
        return any(event["text"].startswith("Going on after") for event in events)

    wait_for(said, 60, "the run has gone on from its checkpoint")


def being_written(server: RealServer, verification: str) -> None:
    """Wait until the bounds are final and a worker writes their certificate."""
    wait_for(lambda: status(server, verification)["certifying"], 60, "the certificate is being written")


def assert_monotone(bounds: list[dict[str, Any]]) -> None:
    """Numbered without a gap, the lower bound never falls, the upper one never rises, time goes on."""
    assert [bound["number"] for bound in bounds] == list(range(1, len(bounds) + 1))
    for before, after in pairwise(bounds):
        assert after["lower"] >= before["lower"]
        assert after["seconds"] >= before["seconds"]
        assert before["upper"] is None or after["upper"] <= before["upper"]


def processes_on(home: Path) -> list[str]:
    """Every process whose command line or environment names this home."""
    mark = os.fsencode(home)
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            words = (folder / "cmdline").read_bytes()
            if mark in words or mark in (folder / "environ").read_bytes():
                command = words.replace(b"\0", b" ").decode(errors="replace")
                found.append(f"{folder.name}: {command}")
        except OSError:
            continue  # it has ended, or belongs to somebody else
    return found


def children_of(process: int) -> list[int]:
    """The processes that `process` has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            text = path.read_text()
        except OSError:
            continue
        if f"\nPPid:\t{process}\n" in text:
            found.append(int(path.parent.name))
    return found
