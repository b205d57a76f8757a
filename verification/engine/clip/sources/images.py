"""Image sequences: a folder of pictures, or a zip archive of them, in the natural order of their names."""

import hashlib
import lzma
import os
import re
import stat
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import PurePosixPath

# Read by OpenCV when it is loaded, or when it decodes its first picture: headers of absurd pictures are refused then.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**26))

import cv2
import numpy as np

from verification.engine.clip.sources.base import Picture, Source, VideoInfo, check_count, check_side, file_sha256
from verification.engine.errors import ClipError

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}
#: How their contents begin. OpenCV reads others too, but not all in the right scale: of PNM it ignores what stands for white.
_BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"RIFF", b"II*\0", b"MM\0*")
#: Of one picture's file; none that a classifier takes needs more.
MAX_IMAGE_BYTES = 2**28

Reader = Callable[[str], bytes]


class ImageSequence(Source):
    """Pictures of one size, each a frame; no frame rate is known."""

    @abstractmethod
    def _opened(self) -> AbstractContextManager[tuple[list[str], Reader]]:
        """The names of all pictures in order, and how to read one."""

    def info(self) -> VideoInfo:
        with self._opened() as (names, read):
            self._check_any(names)
            shapes = {self._decoded(name, read).shape[:2]: name for name in names}
        if len(shapes) > 1:
            (first, one), (second, other) = list(shapes.items())[:2]
            raise ClipError(
                f"the pictures of {self.path.name} differ in size: {_last(one)} has {first[0]}x{first[1]} pixels, "
                f"{_last(other)} {second[0]}x{second[1]}; give all of them one size"
            )
        ((height, width),) = shapes
        return self.described(len(names), 0.0, height, width)

    def pictures(self, numbers: Sequence[int]) -> Iterator[Picture]:
        with self._opened() as (names, read):
            for number in numbers:
                yield self._decoded(names[number], read)

    def _check_any(self, names: Sequence[str]) -> None:
        if not names:
            raise ClipError(
                f"{self.path.name} holds no pictures; an image sequence is png, jpg, bmp, webp or tif files"
            )
        check_count(self.path.name, len(names))

    def _decoded(self, name: str, read: Reader) -> Picture:
        content = read(name)
        try:
            known = content.startswith(_BEGINNINGS)
            picture = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR) if known else None
        except cv2.error:
            picture = None
        if picture is None:
            raise ClipError(
                f"{_last(name)} in {self.path.name} cannot be decoded: it is damaged, too large or no picture"
            )
        check_side(f"{_last(name)} in {self.path.name}", *picture.shape[:2])
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


class ImageFolder(ImageSequence):
    """The pictures that lie directly in a folder."""

    @contextmanager
    def _opened(self) -> Iterator[tuple[list[str], Reader]]:
        yield _in_order(path.name for path in self.path.iterdir() if path.is_file()), self._read

    def _read(self, name: str) -> bytes:
        path = self.path / name
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise ClipError(f"{name} in {self.path.name} is larger than {MAX_IMAGE_BYTES >> 20} MB: scale it down")
        return path.read_bytes()

    def sha256(self) -> str:
        """Of the pictures' own hashes, in their order."""
        digest = hashlib.sha256()
        with self._opened() as (names, _):
            for name in names:
                digest.update(f"{file_sha256(self.path / name)}  {name}\n".encode())
        return digest.hexdigest()


class ImageArchive(ImageSequence):
    """The pictures of a zip archive, read one at a time and never unpacked to the disk."""

    @contextmanager
    def _opened(self) -> Iterator[tuple[list[str], Reader]]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                entries = {entry.filename: entry for entry in archive.infolist() if _is_plain(entry)}
                yield _in_order(entries), lambda name: self._read(archive, entries[name])
        except (
            zipfile.BadZipFile,
            zlib.error,
            lzma.LZMAError,
            EOFError,
            NotImplementedError,
            OSError,
            ValueError,
        ) as error:
            raise ClipError(f"{self.path.name} is a damaged zip archive; pack the pictures again") from error

    def _read(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
        name = _last(entry.filename)
        if entry.flag_bits & 1:
            raise ClipError(f"{name} in {self.path.name} is encrypted; pack the pictures without a password")
        # What the directory says is also the most that is unpacked.
        if entry.file_size > MAX_IMAGE_BYTES:
            raise ClipError(f"{name} in {self.path.name} is larger than {MAX_IMAGE_BYTES >> 20} MB: scale it down")
        return archive.read(entry)


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    """A file of its own, not a folder or a link, and not what macOS adds."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return not entry.is_dir() and kind in {0, stat.S_IFREG} and not entry.filename.startswith("__MACOSX/")


def _in_order(names: Iterable[str]) -> list[str]:
    """Those that are pictures by their suffix and not hidden: 2.png before 10.png."""
    found = [name for name in names if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES]
    return sorted((name for name in found if not _last(name).startswith(".")), key=_natural)


def _natural(name: str) -> list[tuple[int, str]]:
    """Runs of digits compare as numbers."""
    return [(int(digits), "") if digits else (-1, text) for digits, text in re.findall(r"([0-9]+)|([^0-9]+)", name)]


def _last(name: str) -> str:
    return PurePosixPath(name).name
