"""Kinds of videos. A new kind is one class, and a line in `open_source` that recognises it by its content."""

from pathlib import Path

from verification.engine.clip.sources.array import ArrayFile
from verification.engine.clip.sources.base import (
    MAX_VIDEO_FRAMES,
    MAX_VIDEO_SIDE,
    Picture,
    Source,
    VideoInfo,
    eight_bits,
    file_sha256,
)
from verification.engine.clip.sources.images import IMAGE_SUFFIXES, ImageArchive, ImageFolder
from verification.engine.clip.sources.movie import Movie, container_of
from verification.engine.errors import ClipError

#: What may be in a folder of videos, by suffix; what a file really is its content decides.
VIDEO_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in "mp4 m4v mov 3gp avi webm mkv gif mpg mpeg ts flv wmv ogv zip npy".split()  # noqa: SIM905
)

_HEAD = 189  # bytes: two packets of a transport stream show themselves in so many


def open_source(path: str | Path) -> Source:
    """The video at `path`, by its content: a video file, a folder or zip archive of pictures, an .npy array.

    Raises ClipError for a missing or empty file and for anything else.
    """
    path = Path(path)
    try:
        str(path).encode()
    except UnicodeEncodeError:
        readable = path.name.encode(errors="replace").decode()
        raise ClipError(f"the name of {readable} is not valid UTF-8, so that no decoder finds it; rename it") from None
    if path.is_dir():
        return ImageFolder(path)
    if not path.is_file():
        raise ClipError(f"there is no file {path.name}; check the path")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise ClipError(f"{path.name} is empty; choose a video file")
    if head.startswith(b"PK\x03\x04"):
        return ImageArchive(path)
    if head.startswith(b"\x93NUMPY"):
        return ArrayFile(path)
    container = container_of(head)
    if container is None:
        raise ClipError(
            f"{path.name} is not a video that can be read; use mp4, mov, avi, webm, mkv, gif, mpg, ts, flv, wmv or ogv, "
            "a zip archive of pictures, or an npy array"
        )
    return Movie(path, container)


__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_VIDEO_FRAMES",
    "MAX_VIDEO_SIDE",
    "VIDEO_SUFFIXES",
    "Picture",
    "Source",
    "VideoInfo",
    "eight_bits",
    "file_sha256",
    "open_source",
]
