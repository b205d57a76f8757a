"""Publishing: everything arrives, in few messages, and an absent broker hinders nobody."""

import time
from itertools import pairwise
from typing import Any

import pytest

from verification.live import publish
from verification.live.payloads import Point, Update
from verification.live.publish import Publisher, coalesce


class RecordingLayer:
    """Stands where the channel layer stands and keeps what is sent, with the time."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, dict[str, Any]]] = []
        self.away = False

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if self.away:
            raise ConnectionError("no broker")
        self.sent.append((time.monotonic(), message))


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> RecordingLayer:
    layer = RecordingLayer()
    monkeypatch.setattr(publish, "get_channel_layer", lambda: layer)
    return layer


def bounds(*numbers: int) -> Update:
    points = [Point(number=n, seconds=float(n), lower=0.1, upper=None, source="lower") for n in numbers]
    return {"type": "bounds", "points": points}


def status(status: str, elapsed: float) -> Update:
    return {
        "type": "status",
        "status": status,
        "elapsed": elapsed,
        "error": "",
        "certifying": False,
        "uncertified": "",
    }


def numbers(layer: RecordingLayer) -> list[int]:
    messages = [message for _, sent in layer.sent for message in sent["messages"]]
    return [point["number"] for message in messages if message["type"] == "bounds" for point in message["points"]]


def test_a_burst_arrives_whole_in_at_most_ten_messages_a_second(layer: RecordingLayer) -> None:
    publisher = Publisher()
    for number in range(1, 1001):
        publisher.put("group", bounds(number))
        time.sleep(0.0005)
    publisher.flush(5.0)
    assert numbers(layer) == list(range(1, 1001))
    times = [moment for moment, _ in layer.sent]
    assert all(later - earlier >= 0.09 for earlier, later in pairwise(times))


def test_the_first_message_does_not_wait(layer: RecordingLayer) -> None:
    publisher = Publisher()
    publisher.put("warm-up", bounds(1))
    publisher.flush(5.0)
    began = time.monotonic()
    publisher.put("group", bounds(2))
    publisher.flush(5.0)
    assert layer.sent[-1][0] - began < 0.09


def test_groups_do_not_wait_for_each_other(layer: RecordingLayer) -> None:
    publisher = Publisher()
    for group in ("a", "b", "c"):
        publisher.put(group, bounds(1))
    publisher.flush(5.0)
    times = [moment for moment, _ in layer.sent]
    assert len(times) == 3
    assert max(times) - min(times) < 0.09


def test_of_a_status_only_the_last_is_sent_and_of_events_every_one() -> None:
    messages: list[Update] = [
        status("queued", 0.0),
        {"type": "event", "event": 1, "seconds": 0.1, "text": "one"},
        {"type": "event", "event": 2, "seconds": 0.2, "text": "two"},
        status("running", 0.3),
    ]
    assert coalesce(messages) == messages[1:]


def test_an_absent_broker_costs_the_worker_nothing(layer: RecordingLayer) -> None:
    publisher = Publisher()
    layer.away = True
    publisher.put("group", bounds(1))
    publisher.flush(5.0)
    layer.away = False
    publisher.put("group", bounds(2))
    publisher.flush(5.0)
    assert numbers(layer) == [2]
