"""One run on the real server, followed over a real socket."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.sockets import last_status, listen, numbers_told, real_socket
from tests.server import RealServer

FINAL = {"converged", "certified", "refuted", "exhausted", "cancelled", "failed"}


def knows_a_bound(messages: list[dict[str, Any]]) -> bool:
    """Whether the browser has been told of a bound, or that there are some to fetch."""
    return any(message["number"] > 0 for message in messages)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with RealServer(tmp_path_factory.mktemp("server") / "home") as server:
        yield server


async def test_a_run_is_told_from_queued_to_its_end_without_a_gap(server: RealServer) -> None:
    session = server.login()
    verification = server.ask(seconds=10.0)
    async with real_socket(server.url, session, verification) as connection:
        messages = await listen(connection, lambda told: last_status(told) in FINAL, 60)
    assert last_status(messages) in {"converged", "exhausted"}
    recorded = server.bounds(verification)
    assert recorded
    told = numbers_told(messages)
    assert [bound["number"] for bound in recorded] == list(range(1, len(recorded) + 1))
    assert told == [bound["number"] for bound in recorded if bound["number"] > messages[0]["number"]]
    lower = [bound["lower"] for bound in recorded]
    upper = [bound["upper"] for bound in recorded if bound["upper"] is not None]
    assert lower == sorted(lower)
    assert upper == sorted(upper, reverse=True)


async def test_a_cancelled_run_keeps_its_bounds(server: RealServer) -> None:
    session = server.login()
    verification = server.ask(seconds=120.0)
    async with real_socket(server.url, session, verification) as connection:
        await listen(connection, knows_a_bound, 60)
        server.api(f"verifications/{verification}/cancel/", "POST")
        messages = await listen(connection, lambda told: last_status(told) in FINAL, 20)
    assert last_status(messages) == "cancelled"
    assert server.bounds(verification)
    artifacts = server.api(f"verifications/{verification}/artifacts/")
    kinds = {artifact["kind"] for artifact in artifacts}
    assert {"frame", "flow-magnitude", "flow-direction"} <= kinds


def test_two_servers_on_two_homes_do_not_know_each_other(server: RealServer, tmp_path: Path) -> None:
    with RealServer(tmp_path / "other") as other:
        assert other.port != server.port
        assert other.password != server.password
        assert other.login().get(other.url + "/api/v1/verifications/").status_code == 200
        assert server.login().get(other.url + "/api/v1/verifications/").status_code in {401, 403}
