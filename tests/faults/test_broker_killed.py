"""A broker that is killed: it comes back, the run goes on meanwhile, and whoever watches misses no point."""

import os
import signal

from tests.faults.watching import FINAL, assert_monotone, children_of, ended
from tests.live.sockets import last_status, listen, numbers_told, real_socket
from tests.server import RealServer, wait_for


async def test_no_point_is_lost_when_the_broker_is_killed(server: RealServer) -> None:
    session = server.login()
    verification = server.ask(seconds=10.0)
    async with real_socket(server.url, session, verification) as connection:
        first = await listen(connection, lambda told: len(numbers_told(told)) > 2, 60)
        (valkey,) = children_of(server.child("broker"))
        os.kill(valkey, signal.SIGKILL)
        rest = await listen(connection, lambda told: last_status(told) in FINAL, 60)
    recorded = server.bounds(verification)
    assert_monotone(recorded)
    told = numbers_told(first + rest)
    assert told == [bound["number"] for bound in recorded if bound["number"] > first[0]["number"]]
    assert ended(server, server.ask(seconds=1.0))["status"] in {"converged", "exhausted"}


def test_a_valkey_whose_guardian_is_killed_is_adopted(server: RealServer) -> None:
    (valkey,) = wait_for(lambda: children_of(server.child("broker")), 30, "a broker")
    guardian = server.child("broker")
    os.kill(guardian, signal.SIGKILL)
    wait_for(lambda: server.child("broker") != guardian, 30, "there is a new guardian")
    assert ended(server, server.ask(seconds=1.0))["status"] in {"converged", "exhausted"}
    os.kill(valkey, 0)  # the same process serves on
