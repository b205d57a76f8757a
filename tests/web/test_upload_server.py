"""Uploads to the real server with a real tus client: going on after a break, and nobody waits meanwhile."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from tusclient.client import TusClient
from tusclient.uploader import Uploader

from tests.factories import make_video_file
from tests.server import RealServer

PIECE = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One server for this file."""
    with RealServer(tmp_path_factory.mktemp("server") / "home") as server:
        server.create_user("uploader", "a-long-enough-password", team="Uploads")
        yield server


@pytest.fixture(scope="module")
def token(server: RealServer) -> str:
    """A program's token of the person who uploads."""
    return server.create_token("uploader")


@pytest.fixture
def large_video(tmp_path: Path) -> Path:
    """A real video with 30 MB behind it, as recorders leave it when they reserve room."""
    path = make_video_file(tmp_path / "long walk.avi")
    with path.open("ab") as file:
        file.write(bytes(30 * 1024 * 1024))
    return path


def uploader(server: RealServer, token: str, path: Path, url: str | None = None) -> Uploader:
    client = TusClient(server.url + "/api/v1/uploads/", headers={"Authorization": f"Bearer {token}"})
    metadata = {"filename": path.name, "kind": "video"}
    return client.uploader(str(path), chunk_size=PIECE, metadata=metadata, url=url)


def break_off(url: str, token: str, offset: int, announced: int, sent: bytes) -> None:
    """Announce a piece, send a part of it, and hang up."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    head = (
        f"PATCH {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Tus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\nContent-Length: {announced}\r\n"
        "Content-Type: application/offset+octet-stream\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(head.encode() + sent)


def test_an_upload_goes_on_after_a_broken_connection(server: RealServer, token: str, large_video: Path) -> None:
    content = large_video.read_bytes()
    first = uploader(server, token, large_video)
    first.upload_chunk()
    location = str(first.url)
    break_off(location, token, PIECE, PIECE, content[PIECE : PIECE + 100_000])
    again = uploader(server, token, large_video, url=location)
    assert again.offset == PIECE
    again.upload()
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.head(location, headers=headers | {"Tus-Resumable": "1.0.0"}, timeout=30)
    result = json.loads(answer.headers["Upload-Result"])
    video = requests.get(f"{server.url}/api/v1/videos/{result['id']}/", headers=headers, timeout=30).json()
    assert (video["name"], video["frames"], video["bytes"]) == ("long walk.avi", 12, len(content))


class Visitor(threading.Thread):
    """Loads a page again and again and notes the longest wait."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._url = url
        self._stop_asked = threading.Event()

    def run(self) -> None:
        with requests.Session() as session:
            while not self._stop_asked.wait(0.02):
                began = time.monotonic()
                session.get(self._url, timeout=60).raise_for_status()
                self.waits.append(time.monotonic() - began)

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()


def test_pages_answer_during_an_upload(server: RealServer, token: str, large_video: Path) -> None:
    with large_video.open("ab") as file:
        file.write(b"another file than that of the other test")
    visitor = Visitor(server.url + "/login/")
    visitor.start()
    try:
        uploader(server, token, large_video).upload()
    finally:
        visitor.stop()
    # A body parsed on the event loop would stop everybody for as long as the upload takes.
    assert len(visitor.waits) >= 3
    assert max(visitor.waits) < 2.0
