"""A tus client on Django's test client: the four requests, and the headers that they need."""

import base64
from pathlib import Path
from typing import Any

from django.test import Client

CONTENT_TYPE = "application/offset+octet-stream"


def metadata(**values: object) -> str:
    """The header Upload-Metadata."""
    return ",".join(f"{key} {base64.b64encode(str(value).encode()).decode()}" for key, value in values.items())


def begin(client: Client, length: int | str, version: str = "1.0.0", **values: object) -> Any:
    """POST: announce a file."""
    headers = {
        "Tus-Resumable": version,
        "Upload-Length": str(length),
        "Upload-Metadata": metadata(**values),
    }
    return client.post("/api/v1/uploads/", headers=headers)


def send(client: Client, location: str, offset: int, piece: bytes, content_type: str = CONTENT_TYPE) -> Any:
    """PATCH: one piece."""
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset)}
    return client.patch(location, data=piece, content_type=content_type, headers=headers)


def ask(client: Client, location: str) -> Any:
    """HEAD: how far is it?"""
    return client.head(location, headers={"Tus-Resumable": "1.0.0"})


def give_up(client: Client, location: str) -> Any:
    """DELETE."""
    return client.delete(location, headers={"Tus-Resumable": "1.0.0"})


def upload(client: Client, path: Path, pieces: int = 3, **values: Any) -> Any:
    """The whole file in pieces; returns the last answer."""
    content = path.read_bytes()
    location = begin(client, len(content), filename=path.name, **values)["Location"]
    size = -(-len(content) // pieces)
    for offset in range(0, len(content), size):
        answer = send(client, location, offset, content[offset : offset + size])
    return answer
