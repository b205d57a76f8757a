"""Decoding with OpenCV's FFmpeg: one pass that counts, one that keeps the sampled frames only, so memory stays bounded."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from verification.engine.clip.clip import Clip
from verification.engine.clip.sampling import build_sampling
from verification.engine.errors import ClipError

# What libraries would print about a damaged file is said by ClipError instead. Read by OpenCV when it first opens a video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(0)

#: Limits against absurd input, far above what a classifier takes.
MAX_VIDEO_SIDE = 8192
MAX_VIDEO_FRAMES = 216_000
MIN_SIDE, MAX_SIDE = 8, 1024
MAX_CLIP_VALUES = 2**27

#: Of the frames that the container promises, this part must be decodable. WebM and GIF only estimate the number.
_COMPLETE = {"avi": 0.9, "mp4": 0.9, "webm": 0.7, "gif": 0.5}


@dataclass(frozen=True)
class VideoInfo:
    """What a video file really holds: `frames` counts those that can be decoded; sizes in pixels."""

    frames: int
    fps: float
    height: int
    width: int
    sha256: str


def probe_video(path: str | Path) -> VideoInfo:
    """Decode the whole video once, keeping nothing, and describe it.

    Raises ClipError for a missing file, one that is no mp4, mov, avi, webm or gif video, one that ends early, one with
    fewer than two frames or of an absurd size.
    """
    path = Path(path)
    container = _container(path)
    with _opened(path) as capture:
        promised, fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
        height, width, frames = 0, 0, 0
        while capture.grab():
            if frames == 0:
                # The first picture, not the header, tells the size: phones write videos with a rotation.
                decoded, picture = capture.retrieve()
                if not decoded or picture is None:
                    break
                height, width = picture.shape[:2]
            frames += 1
            if frames > MAX_VIDEO_FRAMES:
                raise ClipError(f"{path.name} has more than {MAX_VIDEO_FRAMES} frames; cut out the part that matters")
    _check_complete(path.name, container, frames, promised, fps)
    return VideoInfo(frames, fps if np.isfinite(fps) and fps > 0 else 0.0, height, width, _sha256(path))


def read_clip(
    path: str | Path,
    *,
    frames: int,
    size: tuple[int, int],
    sampling: str = "uniform",
    name: str | None = None,
) -> Clip:
    """Sample `frames` frames of a video and resize each once to `size` = (height, width) with cv2.resize.

    `sampling`: see `clip.sampling`. `name`: what people call the video, else its file name. The clip's frames are
    (l, 3, h, w) float32 RGB in [0, 1]. Raises ClipError as `probe_video`, and when the video is too short.
    """
    path = Path(path)
    _check_wanted(frames, size)
    rule = build_sampling(sampling)
    info = probe_video(path)
    indices = rule.indices(info.frames, frames, info.fps)
    pictures = np.stack(list(resized_frames(path, indices, size)))
    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(torch.float32).div_(255).contiguous()
    return Clip(tensor, name or path.name, info.sha256)


def resized_frames(path: Path, indices: list[int], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """The frames numbered `indices`, which rise, each resized once to `size` = (height, width), RGB. Raises ClipError."""
    height, width = size
    for picture in _decoded(path, indices):
        yield np.asarray(cv2.cvtColor(cv2.resize(picture, (width, height)), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _decoded(path: Path, indices: list[int]) -> Iterator[NDArray[np.uint8]]:
    """The frames numbered `indices`, (height, width, 3) BGR, one at a time."""
    with _opened(path) as capture:
        position = -1
        for index in indices:
            grabbed = True
            while grabbed and position < index:
                grabbed = capture.grab()
                position += 1
            decoded, picture = capture.retrieve() if grabbed else (False, None)
            if not decoded or picture is None:
                raise ClipError(f"frame {index + 1} of {path.name} cannot be decoded; convert the video again")
            yield np.asarray(picture, dtype=np.uint8)


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    """The video opened by FFmpeg, of a sensible size, and closed again."""
    # FFmpeg alone: other backends read image sequences, cameras and addresses.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise ClipError(f"{path.name} cannot be opened as a video: it is damaged, incomplete or holds no pictures")
        width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if max(width, height) > MAX_VIDEO_SIDE:
            raise ClipError(
                f"{path.name} has frames of {height:.0f}x{width:.0f} pixels; the most is {MAX_VIDEO_SIDE} a side: scale it down"
            )
        yield capture
    finally:
        capture.release()


def _container(path: Path) -> str:
    """The kind of container by its first bytes: FFmpeg would also follow play lists to other files, which nobody wants."""
    if not path.is_file():
        raise ClipError(f"there is no file {path.name}; check the path")
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise ClipError(f"{path.name} is empty; choose a video file")
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}:
        return "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "webm"
    if head[:4] == b"GIF8":
        return "gif"
    raise ClipError(f"{path.name} is not a video that can be read; use mp4, mov, avi, webm or gif")


def _check_complete(name: str, container: str, frames: int, promised: float, fps: float) -> None:
    if frames == 0:
        raise ClipError(f"no frame of {name} can be decoded; it is damaged, incomplete or in an unknown coding")
    # Containers are often wrong by a few frames, and by any number where the rate is a mere time base.
    plausible = np.isfinite(promised) and 0 < promised < 1e7 and 0 < fps <= 240
    if plausible and frames < _COMPLETE[container] * promised - 3:
        raise ClipError(
            f"{name} ends early: {frames} of its {promised:.0f} frames can be decoded; copy or upload it again"
        )
    if frames == 1:
        raise ClipError(f"{name} has a single frame; there is no optical flow without two")


def _check_wanted(frames: int, size: tuple[int, int]) -> None:
    height, width = size
    if frames < 2:
        raise ClipError(f"a clip needs at least 2 frames, not {frames}: flow lies between two frames")
    if not (MIN_SIDE <= height <= MAX_SIDE and MIN_SIDE <= width <= MAX_SIDE):
        raise ClipError(f"the clip's size must be {MIN_SIDE} to {MAX_SIDE} pixels a side, not {height}x{width}")
    if frames * height * width * 3 > MAX_CLIP_VALUES:
        raise ClipError(f"a clip of {frames} frames of {height}x{width} is too large; take fewer or smaller frames")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
