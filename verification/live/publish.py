"""Tells open sockets what has changed. The database comes first: a message that is lost loses nobody a point.

Sending costs a network round trip, so it happens on one background thread with one connection, at most ten
times a second for each verification; what comes meanwhile is sent together.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from uuid import UUID

from channels.layers import get_channel_layer

from verification.live.payloads import (
    AdversarialMessage,
    BoundsMessage,
    EventMessage,
    Game,
    GameMessage,
    Grid,
    Point,
    Update,
    as_status,
)
from verification.models import Verification

logger = logging.getLogger(__name__)

#: Seconds between two messages about one verification.
INTERVAL = 0.1


def group_name(verification_id: UUID) -> str:
    """The group of all sockets that watch one verification."""
    return f"verification.{verification_id.hex}"


def publish_bounds(verification_id: UUID, points: Iterable[Point]) -> None:
    """New points, already in the database."""
    _publisher.put(group_name(verification_id), BoundsMessage(type="bounds", points=list(points)))


def publish_status(verification: Verification) -> None:
    """The status, as it is in the database."""
    _publisher.put(group_name(verification.pk), as_status(verification))


def publish_event(verification_id: UUID, number: int, seconds: float, text: str) -> None:
    """One line, already in the database under `number`."""
    message = EventMessage(type="event", event=number, seconds=seconds, text=text)
    _publisher.put(group_name(verification_id), message)


def publish_adversarial(verification_id: UUID, label: int, confidence: float, revision: int) -> None:
    """A better example, whose pictures are stored as `revision`."""
    message = AdversarialMessage(type="adversarial", label=label, confidence=confidence, revision=revision)
    _publisher.put(group_name(verification_id), message)


def publish_game(verification_id: UUID, game: Game | Grid) -> None:
    """What the players do, as it is in the database."""
    _publisher.put(group_name(verification_id), GameMessage(type="game", game=game))


def flush(seconds: float = 2.0) -> None:
    """Wait until everything is sent, not longer than `seconds`; before a process ends."""
    _publisher.flush(seconds)


def coalesce(messages: Sequence[Update]) -> list[Update]:
    """The same news in fewer messages: points together, and of each state only the last."""
    points: list[Point] = []
    others: list[Update] = []
    latest: dict[str, Update] = {}
    for message in messages:
        if message["type"] == "bounds":
            points += message["points"]
        elif message["type"] == "event":
            others.append(message)
        else:
            latest[message["type"]] = message
    bounds: list[Update] = [BoundsMessage(type="bounds", points=points)] if points else []
    return [*bounds, *others, *latest.values()]


class Publisher:
    """A background thread that sends to the channel layer; started by the first message."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: dict[str, list[Update]] = {}
        self._drains: dict[str, asyncio.Task[None]] = {}

    def put(self, group: str, message: Update) -> None:
        """Send `message` soon; never blocks, never fails."""
        self._running_loop().call_soon_threadsafe(self._add, group, message)

    def flush(self, seconds: float) -> None:
        """Wait until nothing is pending."""
        if self._loop is not None:
            with contextlib.suppress(FutureTimeout):
                asyncio.run_coroutine_threadsafe(self._idle(), self._loop).result(seconds)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="publisher", daemon=True).start()
            return self._loop

    def _add(self, group: str, message: Update) -> None:
        self._pending.setdefault(group, []).append(message)
        if group not in self._drains:
            self._drains[group] = asyncio.ensure_future(self._drain(group))

    async def _drain(self, group: str) -> None:
        """Send what is there, wait, send what has come meanwhile; end when nothing has."""
        while messages := self._pending.pop(group, []):
            try:
                update = {"type": "live.updates", "messages": coalesce(messages)}
                await get_channel_layer().group_send(group, update)
            except Exception as error:
                # The broker is away. Sockets look into the database every few seconds as well.
                logger.warning("could not publish to %s: %s", group, error)
            await asyncio.sleep(INTERVAL)
        del self._drains[group]

    async def _idle(self) -> None:
        while self._drains:
            await asyncio.gather(*self._drains.values())


_publisher = Publisher()
