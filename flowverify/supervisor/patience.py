"""Daphne that waits for slow readers.

Daphne takes from an application whatever it sends and lets Twisted keep it in memory: a reader of a slow line makes
the server hold the whole file, however small the pieces in which the application streams it. Twisted does say when
its buffer is full; here the application's `send` waits until it is empty again.
"""

import asyncio
from typing import Any

from daphne.server import Server


class Valve:
    """A push producer of Twisted: closed while its buffer is full, open for good after a disconnect."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    def pauseProducing(self) -> None:  # noqa: N802 - the names are Twisted's
        self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        self._open.set()

    def stopProducing(self) -> None:  # noqa: N802
        self._open.set()

    async def passed(self) -> None:
        """Return when there is room."""
        await self._open.wait()


class PatientServer(Server):
    """Daphne's server, but a response in several pieces goes on only as fast as its reader takes it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._valves: dict[Any, Valve] = {}

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Pass one message of an application on; returns when the next one may come."""
        streams = message["type"] == "http.response.body" and bool(message.get("more_body"))
        if streams and protocol not in self._valves and protocol.channel is not None:
            self._valves[protocol] = Valve()
            protocol.registerProducer(self._valves[protocol], True)
        elif not streams and protocol in self._valves:
            del self._valves[protocol]
            if protocol.channel is not None:
                protocol.unregisterProducer()
        await super().handle_reply(protocol, message)
        if streams and protocol in self._valves:
            await self._valves[protocol].passed()

    def protocol_disconnected(self, protocol: Any) -> None:
        """The reader has gone."""
        if valve := self._valves.pop(protocol, None):
            valve.stopProducing()
        super().protocol_disconnected(protocol)
