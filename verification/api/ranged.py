"""Files over HTTP with byte ranges (RFC 9110, sections 13 and 14), streamed from storage in chunks.

Django's `FileResponse` reads the whole file into memory under ASGI and ignores `Range`; this answers 200,
206, 304 and 416, in bounded memory, from any storage whose files can seek.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header, parse_etags

CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"^bytes=\s*(\d{0,18})-(\d{0,18})\s*$", re.ASCII | re.IGNORECASE)


class ReadableFile(Protocol):
    """What is needed of an open file; Django's `File` of any storage that can seek has it."""

    def seek(self, offset: int, whence: int = 0, /) -> Any: ...
    def tell(self) -> int: ...
    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class RangeNotSatisfiable(Exception):
    """The asked range begins behind the end of the file."""


@dataclass(frozen=True)
class ByteRange:
    """The bytes `start` to `end`, both included."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start + 1


@dataclass(frozen=True)
class Content:
    """An open file and how to present it; `etag`, quoted, must change with the bytes."""

    file: ReadableFile
    content_type: str
    filename: str
    etag: str


def parse_range(header: str, size: int) -> ByteRange | None:
    """The range that `header` asks of `size` bytes; None means the whole file.

    A header that is malformed, in another unit, or asks for several ranges is ignored, as RFC 9110 allows.
    Raises `RangeNotSatisfiable` when nothing of the asked range exists.
    """
    match = _RANGE.match(header)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        suffix = min(int(last), size)
        if suffix == 0:
            raise RangeNotSatisfiable
        return ByteRange(size - suffix, size - 1)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiable
    return ByteRange(start, end)


@dataclass(frozen=True)
class _Answer:
    """Status and headers for the request's conditions, and what the body holds (None: nothing)."""

    status: int
    headers: dict[str, str]
    part: ByteRange | None = None


def ranged_response(request: HttpRequest, content: Content) -> HttpResponseBase:
    """Answer a GET or HEAD for `content`; owns the file from here on and closes it."""
    content.file.seek(0, 2)
    answer = _answer(request, content, size=content.file.tell())
    response: HttpResponseBase
    if answer.part is None or request.method == "HEAD":
        content.file.close()
        response = HttpResponse(status=answer.status, content_type=content.content_type)
    else:
        stream = _stream_async if isinstance(request, ASGIRequest) else _stream
        body = stream(content.file, answer.part)
        response = StreamingHttpResponse(body, status=answer.status, content_type=content.content_type)
    for name, value in answer.headers.items():
        response.headers[name] = value
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["ETag"] = content.etag
    # The browser may keep it but asks each time: permission can be withdrawn, pictures are rewritten.
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _answer(request: HttpRequest, content: Content, size: int) -> _Answer:
    """What the request's conditions and its range come to for a file of `size` bytes."""
    if _names(request.headers.get("If-None-Match", ""), content.etag):
        return _Answer(304, {})
    header = request.headers.get("Range", "")
    # If-Range with an outdated tag (or with a date, which is never sent) gets the whole file.
    if request.headers.get("If-Range", content.etag).strip() != content.etag:
        header = ""
    try:
        asked = parse_range(header, size)
    except RangeNotSatisfiable:
        return _Answer(416, {"Content-Range": f"bytes */{size}"})
    part = asked or ByteRange(0, size - 1)
    headers = {"Content-Length": str(part.length)}
    disposition = content_disposition_header(not content.content_type.startswith("image/"), content.filename)
    if disposition:
        headers["Content-Disposition"] = disposition
    if asked is None:
        return _Answer(200, headers, part)
    return _Answer(206, headers | {"Content-Range": f"bytes {part.start}-{part.end}/{size}"}, part)


def _names(header: str, etag: str) -> bool:
    """Whether an If-None-Match header names `etag`, by the weak comparison that RFC 9110 asks for."""
    tags = parse_etags(header)
    return tags == ["*"] or etag in (tag.removeprefix("W/") for tag in tags)


def _stream(file: ReadableFile, part: ByteRange) -> Iterator[bytes]:
    """The bytes of `part` in chunks, for a synchronous server; closes the file."""
    try:
        file.seek(part.start)
        left = part.length
        while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
    finally:
        file.close()


async def _stream_async(file: ReadableFile, part: ByteRange) -> AsyncIterator[bytes]:
    """The same for ASGI; a thread does the reading, so that a slow disk does not hold up the sockets."""
    try:
        file.seek(part.start)
        left = part.length
        while left > 0 and (chunk := await asyncio.to_thread(file.read, min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
    finally:
        file.close()
