"""What a socket says, and that it neither loses nor repeats a point."""

from collections.abc import Sequence
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import add_bounds, make_artifact, make_finished, make_team, make_user, make_verification
from tests.live.sockets import cookie_of, logged_in, numbers_told, receive_until, socket
from verification.live import consumers
from verification.live.payloads import as_point
from verification.live.publish import group_name
from verification.models import Artifact, Bound, Event, Verification

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is looked at soon enough for a test, but later than what is published arrives."""
    monkeypatch.setattr(consumers, "LOOK_SECONDS", 0.5)


@pytest.fixture
def owner() -> User:
    return make_user()


@pytest.fixture
def running(owner: User) -> Verification:
    """A verification that runs, whose class is known, with three bounds."""
    fields = {"status": Verification.Status.RUNNING, "label": 0, "confidence": 0.9, "lower": 0.1}
    verification = make_verification(make_team(owner), owner, **fields)
    add_bounds(verification, [(0.1, 0.01, None), (0.2, 0.02, None), (0.3, 0.1, None)])
    return verification


@pytest.fixture
def client(owner: User) -> Client:
    return logged_in(owner)


async def opened(verification: Verification, client: Client) -> tuple[WebsocketCommunicator, dict[str, Any]]:
    """An open socket and its snapshot."""
    connection = socket(verification.pk, cookie_of(client))
    await connection.connect()
    return connection, await connection.receive_json_from(5)


async def publish(verification: Verification, numbers: Sequence[int]) -> None:
    """Publish bounds that are in the database, as the worker does."""
    rows = [row async for row in Bound.objects.filter(verification=verification, number__in=numbers)]
    message = {"type": "bounds", "points": [as_point(row) for row in rows]}
    update = {"type": "live.updates", "messages": [message]}
    await get_channel_layer().group_send(group_name(verification.pk), update)


async def test_the_snapshot_is_what_the_api_says(running: Verification, client: Client) -> None:
    connection, snapshot = await opened(running, client)
    await connection.disconnect()
    answer = await sync_to_async(client.get)(f"/api/v1/verifications/{running.pk}/")
    assert snapshot == {"type": "snapshot", "verification": answer.json(), "number": 3}


async def test_published_points_arrive_at_once_and_in_order(
    running: Verification, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "LOOK_SECONDS", 60.0)
    connection, _ = await opened(running, client)
    await sync_to_async(add_bounds)(running, [(0.4, 0.2, 3.0), (0.5, 0.3, 3.0)])
    await publish(running, [4, 5])
    message = await connection.receive_json_from(2)
    await connection.disconnect()
    assert message["number"] == 5
    assert message["points"] == [
        {"number": 4, "seconds": 0.4, "lower": 0.2, "upper": 3.0, "source": "lower"},
        {"number": 5, "seconds": 0.5, "lower": 0.3, "upper": 3.0, "source": "lower"},
    ]


async def test_a_lost_message_is_made_good_from_the_database(
    running: Verification, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "LOOK_SECONDS", 60.0)
    connection, _ = await opened(running, client)
    await sync_to_async(add_bounds)(running, [(1.0 + n, 0.2 + n, None) for n in range(5)])
    await publish(running, [7, 8])  # 4 to 6 were lost on the way
    messages = await receive_until(connection, lambda told: len(numbers_told(told)) >= 5)
    await connection.disconnect()
    assert numbers_told(messages) == [4, 5, 6, 7, 8]


async def test_points_that_nobody_published_arrive_all_the_same(running: Verification, client: Client) -> None:
    connection, _ = await opened(running, client)
    await sync_to_async(add_bounds)(running, [(0.4, 0.2, None)])
    messages = await receive_until(connection, lambda told: bool(numbers_told(told)), 5)
    await connection.disconnect()
    assert numbers_told(messages) == [4]


async def test_no_point_is_told_twice(running: Verification, client: Client) -> None:
    connection, _ = await opened(running, client)
    await sync_to_async(add_bounds)(running, [(0.4, 0.2, None), (0.5, 0.3, None)])
    await publish(running, [4])
    await publish(running, [4, 5])
    await publish(running, [2, 3, 4, 5])
    messages = await receive_until(connection, lambda told: len(numbers_told(told)) >= 2)
    assert await connection.receive_nothing(1.2)  # two looks into the database later
    await connection.disconnect()
    assert numbers_told(messages) == [4, 5]


async def test_status_events_and_pictures_are_told(running: Verification, client: Client) -> None:
    connection, _ = await opened(running, client)
    await Event.objects.acreate(verification=running, number=1, seconds=0.5, text="The search begins.")
    await sync_to_async(make_artifact)(running, Artifact.Kind.ADVERSARIAL_CLIP)
    await Verification.objects.filter(pk=running.pk).aupdate(
        status=Verification.Status.EXHAUSTED, elapsed=60.0, upper=2.0, upper_label=1, upper_confidence=0.6
    )
    messages = await receive_until(connection, lambda told: any(m["type"] == "status" for m in told))
    await connection.disconnect()
    assert {"type": "event", "event": 1, "seconds": 0.5, "text": "The search begins.", "number": 3} in messages
    assert {"type": "adversarial", "label": 1, "confidence": 0.6, "revision": 1, "number": 3} in messages
    status = {"type": "status", "status": "exhausted", "elapsed": 60.0, "error": "", "number": 3}
    assert status | {"certifying": False, "uncertified": ""} in messages


async def test_it_is_told_that_the_certificate_is_written_and_why_there_is_none(
    running: Verification, client: Client
) -> None:
    connection, _ = await opened(running, client)
    row = Verification.objects.filter(pk=running.pk)
    await row.aupdate(certificate=True, certifying=True)
    messages = await receive_until(connection, lambda told: any(m["type"] == "status" for m in told))
    assert (messages[-1]["status"], messages[-1]["certifying"], messages[-1]["uncertified"]) == ("running", True, "")
    await row.aupdate(certifying=False, uncertified="Too weak.")
    messages = await receive_until(connection, lambda told: any(m["type"] == "status" for m in told))
    assert (messages[-1]["certifying"], messages[-1]["uncertified"]) == (False, "Too weak.")
    assert await connection.receive_nothing(1.2)  # two looks into the database later
    await connection.disconnect()


async def test_a_new_snapshot_comes_when_the_class_is_known(owner: User, client: Client) -> None:
    queued = await sync_to_async(lambda: make_verification(make_team(owner), owner))()
    connection, first = await opened(queued, client)
    assert first["verification"]["label"] is None
    await Verification.objects.filter(pk=queued.pk).aupdate(status=Verification.Status.RUNNING, label=2, confidence=0.8)
    messages = await receive_until(connection, lambda told: any(m["type"] == "snapshot" for m in told))
    await connection.disconnect()
    assert messages[-1]["verification"]["label_name"] == queued.classifier.labels[2]


async def test_a_finished_verification_is_told_whole_and_then_nothing(owner: User, client: Client) -> None:
    finished = await sync_to_async(lambda: make_finished(make_team(owner), owner))()
    connection, snapshot = await opened(finished, client)
    assert snapshot["number"] == 3
    assert await connection.receive_nothing(1.2)
    await connection.disconnect()


async def test_a_deleted_verification_closes_the_socket(running: Verification, client: Client) -> None:
    connection, _ = await opened(running, client)
    await running.adelete()
    message = await connection.receive_output(5)
    assert (message["type"], message["code"]) == ("websocket.close", 4404)
