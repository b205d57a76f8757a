"""A socket to the ASGI application in this process, and one to the real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import aiohttp
import requests
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.test import Client

from flowverify.asgi import application

ORIGIN = b"http://localhost"


def socket(verification_id: UUID, cookie: str = "", query: str = "", origin: bytes = ORIGIN) -> WebsocketCommunicator:
    """A browser's connection to `/ws/verifications/<id>/`, not yet opened."""
    headers = [(b"origin", origin), (b"host", b"localhost")]
    if cookie:
        headers.append((b"cookie", cookie.encode()))
    address = f"/ws/verifications/{verification_id}/" + (f"?{query}" if query else "")
    return WebsocketCommunicator(application, address, headers=headers)


def cookie_of(client: Client) -> str:
    """The cookies of a test client, as a header."""
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


def logged_in(user: User) -> Client:
    """A test client with the session of `user`."""
    client = Client()
    client.force_login(user)
    return client


async def close_code(connection: WebsocketCommunicator, seconds: float = 5.0) -> int:
    """The code with which the server closes the socket; whatever it says before is skipped."""
    while True:
        message = await connection.receive_output(seconds)
        if message["type"] == "websocket.close":
            return int(message["code"])


async def receive_until(
    connection: WebsocketCommunicator, enough: Callable[[list[dict[str, Any]]], bool], seconds: float = 10.0
) -> list[dict[str, Any]]:
    """Messages until `enough` says so."""
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(seconds):
        while not enough(messages):
            messages.append(await connection.receive_json_from(seconds))
    return messages


@asynccontextmanager
async def real_socket(
    url: str, session: requests.Session, verification_id: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket of the server at `url` with the cookies of `session`."""
    cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    headers = {"Cookie": cookie, "Origin": url}
    address = f"{url.replace('http', 'ws', 1)}/ws/verifications/{verification_id}/"
    async with aiohttp.ClientSession() as client, client.ws_connect(address, headers=headers) as connection:
        yield connection


async def listen(
    connection: aiohttp.ClientWebSocketResponse,
    enough: Callable[[list[dict[str, Any]]], bool],
    seconds: float,
) -> list[dict[str, Any]]:
    """Messages of a real socket until `enough` says so."""
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(seconds):
        while not enough(messages):
            message = await connection.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, f"the socket closed: {message}"
            messages.append(json.loads(message.data))
    return messages


def numbers_told(messages: list[dict[str, Any]]) -> list[int]:
    """The numbers of all points in these messages."""
    bounds = [message for message in messages if message["type"] == "bounds"]
    return [point["number"] for message in bounds for point in message["points"]]


def last_status(messages: list[dict[str, Any]]) -> str:
    """The status that these messages leave the browser with."""
    status = ""
    for message in messages:
        if message["type"] == "snapshot":
            status = message["verification"]["status"]
        elif message["type"] == "status":
            status = message["status"]
    return status
