"""Daphne that hands a request's body over as it is asked for.

Twisted keeps a large body in a temporary file, but Daphne reads all of it into a queue before the application sees the first
byte: 300 MB in one request cost as much memory and stood still for everybody else for a second.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import IO, Any

from flowverify.supervisor.patience import PatientServer

Message = dict[str, Any]

#: Where the body travels from the protocol to the application's `receive`.
_KEY = "flowverify.body"


class BodyServer(PatientServer):
    """Reads bodies piece by piece, and lets others in between two pieces."""

    def __init__(self, application: Callable[..., Awaitable[None]], **options: Any) -> None:
        async def streamed(scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
            body = scope.pop(_KEY, None)
            if body is not None:
                receive = StreamedBody(body, self.request_buffer_size, receive)
            await application(scope, receive, send)

        super().__init__(streamed, **options)

    def create_application(self, protocol: Any, scope: Message) -> Any:
        """As Daphne, which finds an empty body and queues just its end."""
        if scope["type"] == "http":
            scope[_KEY], protocol.content = protocol.content, io.BytesIO()
        return super().create_application(protocol, scope)


class StreamedBody:
    """An ASGI `receive`: first the body, then whatever Daphne has to say, which is that the client has gone."""

    def __init__(self, body: IO[bytes], size: int, rest: Callable[[], Awaitable[Message]]) -> None:
        self._body, self._size, self._rest = body, size, rest
        self._done = False

    async def __call__(self) -> Message:
        if self._done:
            return await self._rest()
        await asyncio.sleep(0)
        piece = self._body.read(self._size)
        self._done = len(piece) < self._size
        if self._done:
            self._body.close()
            await self._rest()  # the empty body that Daphne has queued
        return {"type": "http.request", "body": piece, "more_body": not self._done}
