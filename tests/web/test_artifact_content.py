"""Contents of artifacts through the ASGI application: whole, in ranges, conditionally, and never whole in memory."""

import asyncio
from dataclasses import dataclass
from http.cookies import SimpleCookie

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.test import Client

from flowverify.asgi import application
from tests.factories import make_artifact, make_team, make_user
from tests.web.api_support import make_ended
from verification.api.ranged import CHUNK_BYTES
from verification.models import Artifact
from verification.services.tokens import create_token

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = bytes(range(100))


@dataclass(frozen=True)
class Answer:
    """A response as it came over ASGI; `pieces` are the sizes of its body messages."""

    status: int
    headers: dict[str, str]
    body: bytes
    pieces: list[int]


@dataclass(frozen=True)
class Stored:
    """An artifact and a cookie of somebody who may read it."""

    address: str
    cookie: str
    user: User


async def send(address: str, method: str = "GET", cookie: str = "", **headers: str) -> Answer:
    """One request through the whole site; `If_Range="..."` is a header."""
    sent = {name.replace("_", "-").lower(): value for name, value in headers.items()} | {"host": "localhost"}
    if cookie:
        sent["cookie"] = cookie
    path, _, query = address.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }
    communicator = ApplicationCommunicator(application, scope)
    await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await communicator.receive_output(timeout=10)
    pieces: list[bytes] = []
    more = True
    while more:
        message = await communicator.receive_output(timeout=10)
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    await communicator.wait()
    received = {name.decode().title(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], received, b"".join(pieces), [len(piece) for piece in pieces])


def _store(content: bytes) -> Stored:
    user = make_user()
    verification = make_ended(make_team(user))
    artifact = make_artifact(verification, Artifact.Kind.ADVERSARIAL_FLOWS, content=content)
    client = Client()
    client.force_login(user)
    cookie = SimpleCookie(client.cookies).output(attrs=[], header="", sep=";").strip()
    return Stored(f"/api/v1/artifacts/{artifact.pk}/content/", cookie, user)


@pytest.fixture
def stored() -> Stored:
    return _store(CONTENT)


async def test_the_whole_file(stored: Stored) -> None:
    answer = await send(stored.address, cookie=stored.cookie)
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["Content-Length"] == "100"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "part", "span"),
    [
        ("bytes=0-9", slice(0, 10), "bytes 0-9/100"),
        ("bytes=90-", slice(90, 100), "bytes 90-99/100"),
        ("bytes=50-1000", slice(50, 100), "bytes 50-99/100"),
        ("bytes=-7", slice(93, 100), "bytes 93-99/100"),
        ("bytes=-1000", slice(0, 100), "bytes 0-99/100"),
        ("bytes=99-99", slice(99, 100), "bytes 99-99/100"),
    ],
)
async def test_one_range(stored: Stored, asked: str, part: slice, span: str) -> None:
    answer = await send(stored.address, cookie=stored.cookie, Range=asked)
    assert (answer.status, answer.body) == (206, CONTENT[part])
    assert answer.headers["Content-Range"] == span
    assert answer.headers["Content-Length"] == str(len(CONTENT[part]))


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=500-600", "bytes=-0"])
async def test_a_range_behind_the_end_cannot_be_satisfied(stored: Stored, asked: str) -> None:
    answer = await send(stored.address, cookie=stored.cookie, Range=asked)
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["Content-Range"] == "bytes */100"


@pytest.mark.parametrize("asked", ["bytes=", "bytes=-", "bytes=9-3", "bytes=a-b", "items=0-3", "bytes=0-1,5-6"])
async def test_a_range_that_is_not_understood_is_ignored(stored: Stored, asked: str) -> None:
    answer = await send(stored.address, cookie=stored.cookie, Range=asked)
    assert (answer.status, answer.body) == (200, CONTENT)


async def test_a_download_goes_on_only_if_the_file_is_still_the_same(stored: Stored) -> None:
    etag = (await send(stored.address, cookie=stored.cookie)).headers["Etag"]
    same = await send(stored.address, cookie=stored.cookie, Range="bytes=10-19", If_Range=etag)
    assert (same.status, same.body) == (206, CONTENT[10:20])
    for other in ('"another"', f"W/{etag}", "Wed, 21 Oct 2026 07:28:00 GMT"):
        changed = await send(stored.address, cookie=stored.cookie, Range="bytes=10-19", If_Range=other)
        assert (changed.status, changed.body) == (200, CONTENT)


async def test_what_the_browser_has_is_not_sent_again(stored: Stored) -> None:
    etag = (await send(stored.address, cookie=stored.cookie)).headers["Etag"]
    for tags in (etag, f'"old", {etag}', f"W/{etag}", "*"):
        answer = await send(stored.address, cookie=stored.cookie, If_None_Match=tags)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["Etag"] == etag
    answer = await send(stored.address, cookie=stored.cookie, If_None_Match='"old"')
    assert (answer.status, answer.body) == (200, CONTENT)


async def test_head_says_the_same_without_a_body(stored: Stored) -> None:
    whole = await send(stored.address, "HEAD", stored.cookie)
    assert (whole.status, whole.body, whole.headers["Content-Length"]) == (200, b"", "100")
    part = await send(stored.address, "HEAD", stored.cookie, Range="bytes=0-9")
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"", "bytes 0-9/100")


async def test_the_wish_for_another_type_does_not_matter(stored: Stored) -> None:
    answer = await send(stored.address, cookie=stored.cookie, Accept="image/avif")
    assert answer.status == 200


async def test_pictures_are_shown_and_data_is_saved_under_its_name(stored: Stored) -> None:
    answer = await send(stored.address, cookie=stored.cookie)
    assert answer.headers["Content-Disposition"] == 'inline; filename="adversarial-flows.png"'


async def test_a_large_file_travels_in_pieces() -> None:
    content = bytes(3 * CHUNK_BYTES + 17)
    stored = await sync_to_async(_store)(content)
    answer = await send(stored.address, cookie=stored.cookie)
    assert answer.body == content
    assert max(answer.pieces) <= CHUNK_BYTES
    part = await send(stored.address, cookie=stored.cookie, Range=f"bytes=5-{2 * CHUNK_BYTES}")
    assert part.body == content[5 : 2 * CHUNK_BYTES + 1]
    assert max(part.pieces) <= CHUNK_BYTES


async def test_several_readers_at_once(stored: Stored) -> None:
    answers = await asyncio.gather(
        *(send(stored.address, cookie=stored.cookie, Range=f"bytes={n}-{n}") for n in range(10))
    )
    assert b"".join(answer.body for answer in answers) == CONTENT[:10]


async def test_a_token_opens_it_too(stored: Stored) -> None:
    _, plain = await sync_to_async(create_token)(stored.user, "laptop")
    answer = await send(stored.address, Authorization=f"Bearer {plain}", Range="bytes=0-0")
    assert (answer.status, answer.body) == (206, CONTENT[:1])


async def test_a_visitor_gets_nothing(stored: Stored) -> None:
    answer = await send(stored.address, Range="bytes=0-9")
    assert answer.status == 401
    assert b"credentials" in answer.body


async def test_a_file_that_is_gone_is_not_found(stored: Stored) -> None:
    def remove() -> None:
        artifact = Artifact.objects.get(kind=Artifact.Kind.ADVERSARIAL_FLOWS)
        artifact.file.storage.delete(str(artifact.file.name))

    await sync_to_async(remove)()
    assert (await send(stored.address, cookie=stored.cookie)).status == 404


def test_a_synchronous_server_streams_as_well(stored: Stored) -> None:
    client = Client(headers={"cookie": stored.cookie})
    response = client.get(stored.address, headers={"range": "bytes=10-19"})
    assert (response.status_code, b"".join(response)) == (206, CONTENT[10:20])
