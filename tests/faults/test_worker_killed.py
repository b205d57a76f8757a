"""A worker that is killed in the middle of a run: the run goes on from its checkpoint and its bounds never go back."""

from uuid import UUID

from tests.faults.watching import (
    assert_monotone,
    being_written,
    cancelled,
    ended,
    resumed,
    running_with_bounds,
    with_checkpoint,
)
from tests.server import RealServer


def test_a_killed_worker_goes_on_from_the_checkpoint(server: RealServer) -> None:
    verification = server.ask(seconds=300.0)
    running_with_bounds(server, verification)
    with_checkpoint(server, verification)
    before = server.bounds(verification)
    killed = server.kill_child("worker")
    resumed(server, verification)
    assert server.child("worker") != killed
    assert cancelled(server, verification)["status"] == "cancelled"
    bounds = server.bounds(verification)
    assert bounds[: len(before)] == before
    assert_monotone(bounds)
    assert "The worker stopped (signal SIGKILL); starting it again." in server.output


def test_the_next_verification_runs_after_a_crash(server: RealServer) -> None:
    verification = server.ask(seconds=2.0)
    assert ended(server, verification)["status"] in {"converged", "exhausted"}


def test_a_killed_worker_that_had_begun_nothing_new_leaves_the_queue_alone(server: RealServer) -> None:
    first, second = server.ask(seconds=300.0), server.ask(seconds=1.0)
    running_with_bounds(server, first, 1)
    server.kill_child("worker")
    cancelled(server, first)
    assert ended(server, second)["status"] in {"converged", "exhausted"}


def test_a_run_whose_worker_died_three_times_without_progress_is_given_up(server: RealServer) -> None:
    verification = server.ask(seconds=600.0)
    running_with_bounds(server, verification)
    with_checkpoint(server, verification)
    server.kill_child("worker")
    # As if each of the attempts had ended before it got anywhere.
    server.sql("UPDATE verification_verification SET attempts = 3 WHERE id = ?", UUID(verification).hex)
    after = ended(server, verification)
    assert after["status"] == "failed"
    assert "died 3 times" in after["error"]
    assert server.bounds(verification)  # what was found stays


def test_a_worker_killed_while_it_writes_a_certificate_and_a_person_who_stops_the_next(server: RealServer) -> None:
    # Twelve dimensions: that takes far longer than this test.
    verification = server.ask(seconds=5.0, space="affine", flows=[1, 2], certificate=True)
    being_written(server, verification)
    before = server.bounds(verification)
    server.kill_child("worker")
    resumed(server, verification)
    being_written(server, verification)
    after = cancelled(server, verification)
    assert (after["status"], after["certifying"], after["certificate_radius"]) == ("cancelled", False, None)
    assert after["uncertified"].startswith("Stopped before the certificate was written")
    assert server.bounds(verification)[: len(before)] == before
    assert "certificate" not in {one["kind"] for one in server.api(f"verifications/{verification}/artifacts/")}
