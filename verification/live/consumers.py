"""The socket of one verification: a snapshot, then whatever is new."""

import asyncio
import contextlib
import logging
import time
from typing import Any
from uuid import UUID

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import OperationalError

from verification.live import state
from verification.live.access import CloseCode, Refused, check_access
from verification.live.payloads import Update
from verification.live.publish import group_name
from verification.models import Verification

logger = logging.getLogger(__name__)

#: Seconds between two looks into the database while the verification is open: nothing published is ever lost
#: for longer.
LOOK_SECONDS = 3.0
#: Seconds between two questions whether this person may still watch.
ACCESS_SECONDS = 30.0


class VerificationConsumer(AsyncJsonWebsocketConsumer):
    """Tells one browser about one verification: what is published, and from the database what was missed."""

    verification_id: UUID
    position: state.Position

    async def connect(self) -> None:
        """Accept, so that a refusal can carry its code, then check and begin."""
        self.verification_id = self.scope["url_route"]["kwargs"]["verification_id"]
        self.position = state.Position()
        self._sending = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        await self.accept()
        try:
            await check_access(self.scope, self.verification_id)
            # Subscribed before the snapshot is taken: what happens in between is heard twice rather than
            # never.
            await self.channel_layer.group_add(group_name(self.verification_id), self.channel_name)
            await self._send_snapshot()
        except Refused as refused:
            await self.close(int(refused.code))
        except Verification.DoesNotExist:
            await self.close(int(CloseCode.NOT_FOUND))
        else:
            self._watch = asyncio.create_task(self._keep_watching())

    async def disconnect(self, code: int) -> None:
        """Forget the subscription."""
        if self._watch is not None:
            self._watch.cancel()
        with contextlib.suppress(OSError):  # the broker may be away
            await self.channel_layer.group_discard(group_name(self.verification_id), self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """The browser has nothing to say here."""

    async def live_updates(self, message: dict[str, Any]) -> None:
        """News from the worker."""
        async with self._sending:
            if self._continues(message["messages"]):
                for update in message["messages"]:
                    await self._send_update(update)
                return
        await self._catch_up()

    def _continues(self, updates: list[Update]) -> bool:
        """Whether the news follow on what the browser knows, without a gap or a change of the whole."""
        for update in updates:
            if update["type"] == "bounds" and update["points"][0]["number"] > self.position.bound + 1:
                return False
            if update["type"] == "event" and update["event"] > self.position.event + 1:
                return False
            if update["type"] == "status" and update["status"] != self.position.status:
                return False
        return self.position.label is not None

    async def _send_snapshot(self) -> None:
        snapshot, self.position = await state.first_look(self.verification_id)
        await self.send_json({"type": "snapshot", "verification": snapshot, "number": self.position.bound})

    async def _catch_up(self) -> bool:
        """Send what the database has after the position; returns whether nothing can follow."""
        async with self._sending:
            news = await state.look(self.verification_id, self.position)
            for update in news.updates:
                await self._send_update(update)
            self.position = news.position
            if news.snapshot is not None:
                message = {"type": "snapshot", "verification": news.snapshot, "number": self.position.bound}
                await self.send_json(message)
            return news.final

    async def _send_update(self, update: Update) -> None:
        """Send one update, without what the browser knows already."""
        if update["type"] == "bounds":
            points = [point for point in update["points"] if point["number"] > self.position.bound]
            if not points:
                return
            self.position.bound = points[-1]["number"]
            update = {**update, "points": points}
        elif update["type"] == "event":
            if update["event"] <= self.position.event:
                return
            self.position.event = update["event"]
        elif update["type"] == "game":
            self.position.cells = state.size_of(update["game"])
        elif update["type"] == "status":
            self.position.certificate = (update["certifying"], update["uncertified"])
        elif update["type"] == "adversarial":
            self.position.revision = max(self.position.revision, update["revision"])
        await self.send_json({**update, "number": self.position.bound})

    async def _keep_watching(self) -> None:
        """Look into the database and at the permission again and again, until the socket closes."""
        checked = time.monotonic()
        final = False
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if time.monotonic() - checked > ACCESS_SECONDS:
                    checked = time.monotonic()
                    await check_access(self.scope, self.verification_id)
                if not final:
                    final = await self._catch_up()
            except Refused as refused:
                await self.close(int(refused.code))
                return
            except Verification.DoesNotExist:
                await self.close(int(CloseCode.NOT_FOUND))
                return
            except OperationalError as error:
                logger.warning("socket of %s: %s", self.verification_id, error)
