"""Pictures of a video for people: a strip of its frames, and a small copy that any browser plays."""

import os
from collections.abc import Sequence
from pathlib import Path

# Read by OpenCV when it first writes a video; what it would print says nothing to anybody.
os.environ.setdefault("OPENCV_FFMPEG_WRITER_LOGLEVEL", "-8")

import cv2
import numpy as np
from numpy.typing import NDArray

from verification.engine.clip.sources import VideoInfo, eight_bits, open_source

STRIP_FRAMES = 8
STRIP_WIDTH = 160  # pixels, of each of its frames
_HIGHEST = 4 * STRIP_WIDTH  # pixels; what is narrower than that is shown squeezed
PREVIEW_SIDE = 320  # pixels, the longer one
PREVIEW_FRAMES = 300
_PREVIEW_RATE = 10.0  # frames a second where the video knows none
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]

_Frame = NDArray[np.uint8]


def write_previews(path: str | Path, info: VideoInfo, strip: Path, preview: Path) -> bool:
    """Draw `strip` (JPEG, `STRIP_FRAMES` frames from first to last, side by side) and `preview` (WebM) of the video at `path`.

    The preview shows at most `PREVIEW_FRAMES` frames, as fast as the video itself. Returns whether it could be written: not every
    build of OpenCV has the codec. Raises ClipError when a frame cannot be decoded.
    """
    shown = list(range(0, info.frames, -(-info.frames // PREVIEW_FRAMES)))
    tiles = evenly(info.frames, STRIP_FRAMES)
    width, height = _fitted(info.width, info.height, PREVIEW_SIDE)
    rate = (info.fps or _PREVIEW_RATE) * len(shown) / info.frames
    writer = cv2.VideoWriter(
        str(preview), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP80"), min(rate, 60.0), (width, height)
    )
    wanted = sorted({*shown, *tiles})
    pictures = {}
    try:
        for number, picture in zip(wanted, open_source(path).pictures(wanted), strict=True):
            frame = eight_bits(picture)
            if number in tiles:
                pictures[number] = _tile(frame, STRIP_WIDTH)
            if writer.isOpened() and number in shown:
                small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
                writer.write(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    finally:
        opened = writer.isOpened()
        writer.release()
    strip.write_bytes(_jpeg([pictures[number] for number in tiles]))
    return opened


def draw_frames(path: str | Path, numbers: Sequence[int], width: int) -> bytes:
    """A JPEG of the frames with these increasing numbers (from 0), side by side, each `width` pixels wide. Raises ClipError."""
    return _jpeg([_tile(eight_bits(picture), width) for picture in open_source(path).pictures(numbers)])


def read_frames(path: str | Path, numbers: Sequence[int], side: int) -> list[NDArray[np.uint8]]:
    """These frames (increasing numbers from 0), (h, w, 3) RGB, scaled down so that the longer side has `side` pixels at most."""
    frames = [eight_bits(picture) for picture in open_source(path).pictures(numbers)]
    width, height = _fitted(frames[0].shape[1], frames[0].shape[0], side)
    return [
        np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8) for frame in frames
    ]


def evenly(total: int, count: int) -> list[int]:
    """At most `count` numbers below `total`, evenly from the first to the last."""
    count = min(count, total)
    return [round(i * (total - 1) / (count - 1)) for i in range(count)] if count > 1 else [0]


def _fitted(width: int, height: int, side: int) -> tuple[int, int]:
    """(width, height) with the longer one at most `side`, both even, as codecs want them."""
    scale = min(1.0, side / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _tile(frame: _Frame, width: int) -> _Frame:
    height = min(max(1, round(frame.shape[0] * width / frame.shape[1])), _HIGHEST)
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _jpeg(tiles: Sequence[_Frame]) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(np.hstack(tiles), cv2.COLOR_RGB2BGR), _QUALITY)
    if not done:
        raise ValueError("a picture of frames cannot be encoded")
    return bytes(data)
