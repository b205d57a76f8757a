"""Videos made to do harm: each is refused soon, in little memory, with a sentence, and nothing of it stays."""

import io
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from django.conf import LazySettings, settings
from django.contrib.auth.models import User

from tests.factories import make_video_file
from verification.models import Team, Video
from verification.services.errors import Invalid
from verification.services.videos import create_video

pytestmark = pytest.mark.django_db
MOST_SECONDS = 10.0


def avi(tmp_path: Path) -> bytearray:
    return bytearray(make_video_file(tmp_path / "whole.avi", frames=20).read_bytes())


def with_absurd_header(tmp_path: Path) -> bytes:
    """A Motion JPEG that says it is 100,000 pixels wide and high, and each picture of it as many as it can say."""
    content = avi(tmp_path)
    size, absurd = struct.pack("<II", 64, 48), struct.pack("<II", 100_000, 100_000)
    assert size in content
    picture, huge = struct.pack(">HH", 48, 64), struct.pack(">HH", 65_500, 65_500)
    assert picture in content
    return bytes(content).replace(size, absurd).replace(picture, huge)


def scrambled(tmp_path: Path) -> bytes:
    content = avi(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, len(content), dtype=np.uint8)
    content[600:] = noise[600:].tobytes()
    return bytes(content)


def png(width: int, height: int) -> bytes:
    """A black picture of which every byte is there, packed a thousand times smaller."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = b"\0" * (1 + width)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def encrypted(tmp_path: Path) -> bytes:
    content = bytearray(archive({"1.png": png(9, 9), "2.png": png(9, 9)}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(magic)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(magic, at + 4)
    return bytes(content)


def link(tmp_path: Path) -> bytes:
    """Pictures that are links to a file of the server."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name in ("1.png", "2.png"):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o120777 << 16
            packed.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


def npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


HOSTILE: dict[str, tuple[str, Callable[[Path], bytes], str]] = {
    "empty": ("a.mp4", lambda _: b"", "is empty"),
    "letter": ("a.mp4", lambda _: b"dear server", "not a video"),
    "program": ("a.avi", lambda _: b"\x7fELF" + b"\0" * 500, "not a video"),
    "play list": ("a.mp4", lambda _: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not a video"),
    "concatenation": ("a.mp4", lambda _: b"ffconcat version 1.0\nfile '/etc/passwd'\n", "not a video"),
    "address": ("a.mp4", lambda _: b"http://localhost:1/a.mp4", "not a video"),
    "header only": ("a.avi", lambda p: bytes(avi(p)[:300]), "cannot be opened|[Nn]o frame|damaged"),
    "truncated": ("a.avi", lambda p: bytes(avi(p)[: len(avi(p)) // 2]), "ends early"),
    "scrambled": ("a.avi", scrambled, "cannot be opened|[Nn]o frame|ends early|single frame"),
    "absurd size": ("a.avi", with_absurd_header, "[Nn]o frame|scale it down|cannot be opened|ends early"),
    "absurd animation": ("a.gif", lambda _: b"GIF89a\xff\xff\xff\xff\x80\0\0" + b"\0" * 200, "a.gif"),
    "matroska of nothing": ("a.mkv", lambda _: b"\x1a\x45\xdf\xa3" + b"\xff" * 500, "cannot be opened"),
    "no pictures": ("a.zip", lambda _: archive({"a.txt": b"text"}), "holds no pictures"),
    "zip bomb": ("a.zip", lambda _: archive({f"{i}.png": b"\0" * (2**28 + 1) for i in range(2)}), "larger than 256 MB"),
    "picture bomb": ("a.zip", lambda _: archive({f"{i}.png": png(9000, 9000) for i in range(2)}), "too large"),
    "encrypted": ("a.zip", encrypted, "encrypted"),
    "links": ("a.zip", link, "holds no pictures"),
    "many names": ("a.zip", lambda _: archive({f"{i}.txt": b"" for i in range(20_000)}), "holds no pictures"),
    "end of a zip": ("a.zip", lambda _: b"PK\x03\x04" + b"\0" * 100, "damaged zip"),
    "pickle": (
        "a.npy",
        lambda _: npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", b"cos\n"),
        "not a whole",
    ),
    "code": ("a.npy", lambda _: npy("__import__('os').system('true')"), "not a whole"),
    "absurd array": (
        "a.npy",
        lambda _: npy("{'descr': '|u1', 'fortran_order': False, 'shape': (99999, 99999, 99999, 3), }", b"\0" * 99),
        "not a whole",
    ),
    "negative array": (
        "a.npy",
        lambda _: npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 9, 9, 3), }", b"\0" * 999),
        "a.npy",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_it_is_refused(kind: str, user: User, team: Team, tmp_path: Path, settings: LazySettings) -> None:
    settings.FLOWVERIFY_READING_MEMORY_GB = 1.0
    name, make, words = HOSTILE[kind]
    path = tmp_path / "upload.part"
    path.write_bytes(make(tmp_path))
    began = time.monotonic()

    with pytest.raises(Invalid, match=words) as refused:
        create_video(user, team, path, name)

    assert time.monotonic() - began < MOST_SECONDS
    assert "upload.part" not in str(refused.value) and "Traceback" not in str(refused.value)
    assert "of memory" not in str(refused.value)
    assert_nothing_left()


def assert_nothing_left() -> None:
    assert not Video.objects.exists()
    assert [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()] == []


def test_what_needs_too_much_memory_is_refused_with_that(
    user: User, team: Team, tmp_path: Path, settings: LazySettings
) -> None:
    settings.FLOWVERIFY_READING_MEMORY_GB = 0.05
    np.save(tmp_path / "a.npy", np.zeros((30, 3000, 3000, 3), np.uint8))

    with pytest.raises(Invalid, match=r"0\.05 GB"):
        create_video(user, team, tmp_path / "a.npy", "a.npy")
    assert_nothing_left()


def test_what_takes_too_long_is_refused_with_that(
    user: User, team: Team, tmp_path: Path, settings: LazySettings
) -> None:
    settings.FLOWVERIFY_READING_SECONDS = 0.05
    path = make_video_file(tmp_path / "a.avi", frames=600, size=(240, 320))

    with pytest.raises(Invalid, match=r"more than 0\.05 seconds"):
        create_video(user, team, path, "a.avi")
    assert_nothing_left()
