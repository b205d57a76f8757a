"""A video file becomes a clip: right frames, right colours, right size; anything else is refused with a reason."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from verification.engine import ClipError, probe_video, read_clip

HEIGHT, WIDTH = 48, 64


def pictures(count: int) -> list[NDArray[np.uint8]]:
    """(h, w, 3) BGR, each of one colour: blue tells the number of the frame, red is 200 throughout."""
    return [np.full((HEIGHT, WIDTH, 3), (8 * number, 40, 200), np.uint8) for number in range(count)]


def write(path: Path, code: str, count: int = 20, fps: float = 10.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), fps, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for picture in pictures(count):
        writer.write(picture)
    writer.release()
    return path


def write_gif(path: Path, count: int = 20) -> Path:
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA) for picture in pictures(count)]
    animation.durations = [100] * count
    assert cv2.imwriteanimation(str(path), animation)
    return path


@pytest.mark.parametrize(
    ("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.mov", "mp4v"), ("a.webm", "VP80"), ("b.webm", "VP90")]
)
def test_each_container_is_described_by_what_it_holds(tmp_path: Path, name: str, code: str) -> None:
    path = write(tmp_path / name, code)

    info = probe_video(path)

    assert (info.frames, info.height, info.width) == (20, HEIGHT, WIDTH)
    assert info.fps == pytest.approx(10)
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_gif_is_a_video_too(tmp_path: Path) -> None:
    assert probe_video(write_gif(tmp_path / "a.gif")).frames == 20


def test_sampled_frames_are_the_right_ones_in_rgb(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", "MJPG")

    clip = read_clip(path, frames=5, size=(HEIGHT, WIDTH), sampling="floor")

    assert clip.frames.shape == (5, 3, HEIGHT, WIDTH) and clip.frames.dtype == torch.float32
    means = clip.frames.mean((2, 3)) * 255
    expected = torch.tensor([[200.0, 40.0, 8.0 * 4 * i] for i in range(5)])
    torch.testing.assert_close(means, expected, atol=3.0, rtol=0)


def test_resizing_is_that_of_opencv(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), 10.0, (WIDTH, HEIGHT))
    noise = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    for picture in noise:
        writer.write(picture)
    writer.release()
    capture = cv2.VideoCapture(str(path))
    stored = [capture.read()[1] for _ in range(2)]

    clip = read_clip(path, frames=2, size=(20, 30))

    resized = np.stack([cv2.resize(picture, (30, 20))[:, :, ::-1] for picture in stored])
    expected = torch.from_numpy(resized.transpose(0, 3, 1, 2) / 255).float()
    torch.testing.assert_close(clip.frames, expected)


def test_name_and_hash_of_the_clip(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", "MJPG")

    assert read_clip(path, frames=2, size=(16, 16)).name == "a.avi"
    assert read_clip(path, frames=2, size=(16, 16), name="holiday").name == "holiday"
    assert read_clip(path, frames=2, size=(16, 16)).sha256 == probe_video(path).sha256


def test_things_that_are_no_video(tmp_path: Path) -> None:
    contents = {
        "text.mp4": (b"a letter, not a video", "not a video that can be read"),
        "empty.mp4": (b"", "is empty"),
        "playlist.avi": (b"#EXTM3U\n/etc/passwd\n", "not a video that can be read"),
        "header.avi": (b"RIFF\0\0\0\0AVI " + b"?" * 500, "cannot be opened as a video"),
    }
    for name, (content, message) in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ClipError, match=f"{name} .*{message}"):
            probe_video(tmp_path / name)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"no file nothing\.mp4"):
        probe_video(tmp_path / "nothing.mp4")


def test_a_video_of_one_frame_has_no_flow(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="single frame"):
        probe_video(write(tmp_path / "a.avi", "MJPG", count=1))


@pytest.mark.parametrize(
    ("name", "code", "message"), [("a.avi", "MJPG", "ends early"), ("a.mp4", "mp4v", "incomplete")]
)
def test_a_truncated_file(tmp_path: Path, name: str, code: str, message: str) -> None:
    path = write(tmp_path / name, code, count=30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ClipError, match=message):
        read_clip(path, frames=4, size=(16, 16))


def test_fewer_frames_than_asked(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="has 20 frames to choose from, but the clip needs 21"):
        read_clip(write(tmp_path / "a.avi", "MJPG"), frames=21, size=(16, 16))


@pytest.mark.parametrize(
    ("frames", "size", "message"),
    [
        (1, (16, 16), "at least 2 frames"),
        (4, (0, 16), "8 to 1024 pixels a side"),
        (4, (16, 100_000), "8 to 1024 pixels a side"),
        (100_000, (1024, 1024), "too large"),
    ],
)
def test_absurd_clips(tmp_path: Path, frames: int, size: tuple[int, int], message: str) -> None:
    with pytest.raises(ClipError, match=message):
        read_clip(write(tmp_path / "a.avi", "MJPG", count=2), frames=frames, size=size)


def test_refusals_are_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.mp4", "mp4v")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    capfd.readouterr()

    with pytest.raises(ClipError):
        probe_video(path)

    assert capfd.readouterr() == ("", "")
