"""Frames as files for people and programs: without loss, and as a film that browsers play.

What OpenCV can write depends on how it was built, so that a film without loss counts only when it was read again, bit for bit.
"""

import io
import os
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Read by OpenCV when it first writes a video; what it would print says nothing to anybody.
os.environ.setdefault("OPENCV_FFMPEG_WRITER_LOGLEVEL", "-8")

import cv2
import numpy as np
from numpy.typing import NDArray

_LOSSLESS_RATE = 10.0  # frames a second; a clip's sampled frames have no rate of their own
_WEBM_RATE = 4.0  # slow enough to see what differs

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Film:
    """A file of frames. `suffix`: of its name, with the dot."""

    suffix: str
    content_type: str
    content: bytes


def lossless_film(frames: Sequence[Picture]) -> Film:
    """`frames`: (h, w, 3) uint8 RGB each. FFV1 in Matroska; where that cannot be had without loss, as with an odd number of rows
    or columns, a zip of PNG files. FlowVerify reads both as videos.
    """
    content = _written(frames, "FFV1", ".mkv", _LOSSLESS_RATE, checked=True)
    if content is not None:
        return Film(".mkv", "video/x-matroska", content)
    return Film(".zip", "application/zip", zip_of({f"frame-{i:03d}.png": _png(f) for i, f in enumerate(frames, 1)}))


def web_film(frames: Sequence[Picture]) -> Film | None:
    """`frames`: (h, w, 3) uint8 RGB each, h and w even. WebM with VP8, or VP9; None where this build of OpenCV has neither.

    VP8 first: it takes a fifth of the time of VP9 here, and a film is written for every better example that is shown.
    """
    for codec in ("VP80", "VP90"):
        content = _written(frames, codec, ".mkv", _WEBM_RATE)
        if content is not None and content.count(_MATROSKA) == 1:
            return Film(".webm", "video/webm", content.replace(_MATROSKA, _WEBM))
    return None


#: The EBML element DocType (RFC 8794, 11.2.7). WebM is the part of Matroska that holds VP8, VP9 and AV1, and says so there.
#: OpenCV writes both, but complains on the program's standard error when the file is called .webm. The rest is an element Void.
_MATROSKA = b"\x42\x82\x88matroska"
_WEBM = b"\x42\x82\x84webm" + b"\xec\x82\x00\x00"


def zip_of(files: dict[str, bytes]) -> bytes:
    """The same bytes for the same files, whenever it is made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _written(frames: Sequence[Picture], codec: str, suffix: str, rate: float, checked: bool = False) -> bytes | None:
    """The film's bytes; None where it cannot be written, or, if `checked`, does not give the very frames back."""
    height, width = frames[0].shape[:2]
    with tempfile.TemporaryDirectory(prefix="flowverify-") as scratch:
        path = Path(scratch) / f"film{suffix}"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), rate, (width, height))
        try:
            if not writer.isOpened():
                return None
            for frame in frames:
                writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        finally:
            writer.release()
        if checked and not _holds(path, frames):
            return None
        return path.read_bytes()


def _holds(path: Path, frames: Sequence[Picture]) -> bool:
    """Whether the film at `path` has these frames and no others."""
    reader = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        for frame in frames:
            done, found = reader.read()
            if not done or not np.array_equal(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), frame):
                return False
        return not reader.read()[0]
    finally:
        reader.release()


def _png(picture: Picture) -> bytes:
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"a picture of shape {picture.shape} cannot be encoded")
    return bytes(data)
