"""Image sequences, arrays, other containers and parts of a video become clips as well, or are refused with a reason."""

import io
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from verification.engine import ClipError, probe_video, read_clip
from verification.engine.clip import Part, VideoInfo, sampled_frames
from verification.engine.clip.preview import PREVIEW_FRAMES, STRIP_FRAMES, STRIP_WIDTH, write_previews

HEIGHT, WIDTH = 24, 32


def numbered(number: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """(h, w, 3) RGB, of one colour; blue tells the number."""
    return np.full((height, width, 3), (200, 40, 8 * number), np.uint8)


def png(picture: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1])


def write_folder(path: Path, count: int = 12) -> Path:
    path.mkdir()
    for number in range(count):
        (path / f"frame{number}.png").write_bytes(png(numbered(number)))
    (path / "notes.txt").write_text("no picture")
    (path / ".hidden.png").write_bytes(b"no picture either")
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def blues(path: Path, frames: int, **options: object) -> list[int]:
    """By their colour, the numbers of the frames of a clip."""
    clip = read_clip(path, frames=frames, size=(HEIGHT, WIDTH), **options)  # type: ignore[arg-type]
    assert torch.all((clip.frames[:, 0] - 200 / 255).abs() < 0.05)
    return [round(float(value)) for value in clip.frames[:, 2].mean((1, 2)) * 255 / 8]


def test_a_folder_of_pictures_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "clip")

    info = probe_video(path)

    assert (info.frames, info.fps, info.height, info.width) == (12, 0.0, HEIGHT, WIDTH)
    assert blues(path, 12) == list(range(12))


def test_a_folder_is_known_by_its_pictures(tmp_path: Path) -> None:
    one, same = write_folder(tmp_path / "one"), write_folder(tmp_path / "same")
    other = write_folder(tmp_path / "other")
    (other / "frame3.png").write_bytes(png(numbered(4)))

    assert probe_video(one).sha256 == probe_video(same).sha256 != probe_video(other).sha256


def test_a_zip_archive_of_pictures(tmp_path: Path) -> None:
    files = {f"clip/{number}.png": png(numbered(number)) for number in range(12)}
    path = write_zip(tmp_path / "clip.zip", {**files, "__MACOSX/clip/1.png": b"?", "read me.txt": b"?"})

    assert probe_video(path).frames == 12
    assert blues(path, 4, sampling="floor") == [0, 3, 6, 9]


@pytest.mark.parametrize("layout", ["thwc", "tchw", "float"])
def test_arrays(tmp_path: Path, layout: str) -> None:
    frames = np.stack([numbered(number) for number in range(6)])
    arrays: dict[str, NDArray[Any]] = {
        "thwc": frames,
        "tchw": frames.transpose(0, 3, 1, 2),
        "float": frames / 255,
    }
    np.save(tmp_path / "clip.npy", arrays[layout])

    assert probe_video(tmp_path / "clip.npy").frames == 6
    assert blues(tmp_path / "clip.npy", 6) == list(range(6))


def test_an_array_of_floats_is_not_rounded(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((3, HEIGHT, WIDTH, 3)).astype(np.float32)
    np.save(tmp_path / "clip.npy", frames)

    clip = read_clip(tmp_path / "clip.npy", frames=3, size=(HEIGHT, WIDTH))

    assert torch.equal(clip.frames, torch.from_numpy(frames.transpose(0, 3, 1, 2)))


def test_a_grey_array(tmp_path: Path) -> None:
    np.save(tmp_path / "clip.npy", np.full((3, HEIGHT, WIDTH), 51, np.uint8))

    clip = read_clip(tmp_path / "clip.npy", frames=2, size=(HEIGHT, WIDTH))

    torch.testing.assert_close(clip.frames, torch.full((2, 3, HEIGHT, WIDTH), 0.2))


@pytest.mark.parametrize(("suffix", "code"), [("mkv", "VP80"), ("ts", "mpg1"), ("mpg", "mpg1"), ("flv", "FLV1")])
def test_other_containers(tmp_path: Path, suffix: str, code: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), 25.0, (64, 48))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV cannot write {suffix}")
    for number in range(20):
        writer.write(numbered(number, 48, 64))
    writer.release()

    info = probe_video(path)

    assert (info.frames, info.height, info.width) == (20, 48, 64)


def _npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _bomb() -> bytes:
    """A picture of 100,000 x 100,000 pixels as its header says, and nothing behind it."""
    return b"P6 100000 100000 255\n" + b"\0" * 100


REFUSED = {
    "pickle.npy": (_npy(np.array([{"a": 1}], dtype=object)), "not a whole array"),
    "short.npy": (_npy(np.zeros((9, 24, 32, 3), np.uint8))[:-100], "not a whole array"),
    "huge.npy": (
        _npy(np.zeros((2, 2), np.uint8)).replace(b"(2, 2), }", b"(100000, 100000, 100000, 3), }")[:128],
        "not a whole array",
    ),
    "flat.npy": (_npy(np.zeros((9, 24), np.uint8)), "shape"),
    "empty.npy": (_npy(np.zeros((0, 24, 32, 3), np.uint8)), "shape"),
    "text.npy": (_npy(np.array(["a", "b"])), "type"),
    "whole.npy": (_npy(np.zeros((9, 24, 32, 3), np.int64)), "type int64"),
    "large.npy": (_npy(np.full((9, 24, 32, 3), 200.0)), "divide them by 255"),
    "nan.npy": (_npy(np.full((9, 24, 32, 3), np.nan)), "outside of 0 to 1 in frame 1"),
    "wide.npy": (_npy(np.broadcast_to(np.uint8(0), (2, 1, 9000, 3))), "scale it down"),
    "one.npy": (_npy(np.zeros((1, 24, 32, 3), np.uint8)), "single frame"),
    "damaged.zip": (b"PK\x03\x04" + b"?" * 200, "damaged zip archive"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_files(tmp_path: Path, name: str) -> None:
    content, message = REFUSED[name]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ClipError, match=f"{name}.*{message}"):
        probe_video(tmp_path / name)


ARCHIVES = {
    "nothing": ({"a.txt": b"text"}, "holds no pictures"),
    "no picture": ({"1.png": b"text", "2.png": b"text"}, r"1\.png in clip\.zip cannot be decoded"),
    "empty picture": ({"1.png": b"", "2.png": b""}, r"1\.png in clip\.zip cannot be decoded"),
    "absurd picture": ({"1.png": _bomb(), "2.png": _bomb()}, r"1\.png in clip\.zip cannot be decoded"),
    "two sizes": ({"1.png": png(numbered(1)), "2.png": png(numbered(2, 8, 8))}, "differ in size: 1.png has 24x32"),
    "single": ({"1.png": png(numbered(1))}, "single frame"),
    "bomb": ({"1.png": b"\0" * (2**28 + 1), "2.png": b""}, "larger than 256 MB"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_refused_archives(tmp_path: Path, name: str) -> None:
    files, message = ARCHIVES[name]

    with pytest.raises(ClipError, match=message):
        probe_video(write_zip(tmp_path / "clip.zip", files))


def test_pictures_in_an_unknown_scale_are_refused(tmp_path: Path) -> None:
    grey = b"P5 9 9 4095\n" + b"\x07\xff" * 81

    with pytest.raises(ClipError, match=r"1\.png in clip\.zip cannot be decoded"):
        probe_video(write_zip(tmp_path / "clip.zip", {"1.png": grey, "2.png": grey}))


def test_one_picture_is_no_grey_clip(tmp_path: Path) -> None:
    np.save(tmp_path / "picture.npy", np.zeros((64, 48, 3), np.uint8))

    with pytest.raises(ClipError, match="shape"):
        probe_video(tmp_path / "picture.npy")


def test_a_damaged_picture_in_an_archive_is_noticed(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "clip.zip", {f"{i}.png": png(numbered(i)) for i in range(4)})
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)

    with pytest.raises(ClipError, match=r"clip\.zip"):
        probe_video(path)


def test_a_part_of_a_video(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "clip")

    assert blues(path, 3, part=Part(5, 9)) == [4, 6, 8]
    assert blues(path, 4, part=Part(9)) == [8, 9, 10, 11]
    assert read_clip(path, frames=3, size=(16, 16), part=Part(5, 9)).numbers == (5, 7, 9)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Part(0), "first frame must lie between 1 and 12"),
        (Part(13), "first frame must lie between 1 and 12"),
        (Part(1, 13), "last frame must be at most 12"),
        (Part(5, 5), "fewer than 2 frames"),
        (Part(1, 3), "has 3 frames to choose from, but the clip needs 4"),
    ],
)
def test_impossible_parts(part: Part, message: str) -> None:
    with pytest.raises(ClipError, match=message):
        sampled_frames(VideoInfo(12, 25.0, 24, 32, ""), 4, "uniform", part)


@given(st.integers(2, 500), st.data(), st.sampled_from(["uniform", "floor", "fps:5", "fps:12.5"]), st.integers(2, 20))
def test_sampled_frames_lie_in_the_part(total: int, data: st.DataObject, rule: str, wanted: int) -> None:
    first = data.draw(st.integers(1, total - 1))
    last = data.draw(st.integers(first + 1, total))
    try:
        numbers = sampled_frames(VideoInfo(total, 25.0, 24, 32, ""), wanted, rule, Part(first, last))
    except ClipError:
        return

    assert len(numbers) == wanted
    assert numbers == sorted(set(numbers))
    assert first - 1 <= numbers[0] and numbers[-1] <= last - 1


@pytest.mark.parametrize("count", [2, 12, 700])
def test_previews(tmp_path: Path, count: int) -> None:
    np.save(tmp_path / "clip.npy", np.stack([numbered(i % 24, 90, 160) for i in range(count)]))
    path, strip, preview = (tmp_path / name for name in ("clip.npy", "strip.jpg", "preview.webm"))

    assert write_previews(path, probe_video(path), strip, preview)

    picture = cv2.imread(str(strip))
    assert picture is not None
    tiles = min(count, STRIP_FRAMES)
    assert picture.shape == (90, STRIP_WIDTH * tiles, 3)
    assert abs(int(picture[45, -80, 0]) - 8 * ((count - 1) % 24)) < 6
    shown = probe_video(preview)
    assert (shown.height, shown.width) == (90, 160)
    assert shown.frames == count if count <= PREVIEW_FRAMES else 200 < shown.frames <= PREVIEW_FRAMES
