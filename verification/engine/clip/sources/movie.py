"""Video files, decoded by OpenCV's FFmpeg."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from verification.engine.clip.sources.base import Picture, Source, VideoInfo, check_count, check_side
from verification.engine.errors import ClipError

# What libraries would print about a damaged file is said by ClipError instead. Read by OpenCV when it first opens a video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(0)

#: Of the frames that the container promises, this part must be decodable; the others only estimate the number.
_COMPLETE = {"avi": 0.9, "mp4": 0.9, "webm": 0.7}
_ESTIMATED = 0.5


class Movie(Source):
    """mp4, mov, 3gp, avi, webm, mkv, gif, mpg, ts, flv, wmv or ogv: what `container_of` recognises."""

    def __init__(self, path: Path, container: str) -> None:
        super().__init__(path)
        self.container = container

    def info(self) -> VideoInfo:
        with self._opened() as capture:
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
                check_count(self.path.name, frames)
        self._check_complete(frames, promised, fps)
        return self.described(frames, fps if np.isfinite(fps) and fps > 0 else 0.0, height, width)

    def pictures(self, numbers: Sequence[int]) -> Iterator[Picture]:
        with self._opened() as capture:
            position = -1
            for number in numbers:
                grabbed = True
                while grabbed and position < number:
                    grabbed = capture.grab()
                    position += 1
                decoded, picture = capture.retrieve() if grabbed else (False, None)
                if not decoded or picture is None:
                    raise ClipError(
                        f"frame {number + 1} of {self.path.name} cannot be decoded; convert the video again"
                    )
                yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    @contextmanager
    def _opened(self) -> Iterator[cv2.VideoCapture]:
        """The video opened by FFmpeg, of a sensible size, and closed again."""
        # FFmpeg alone: other backends read image sequences, cameras and addresses.
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        name = self.path.name
        try:
            if not capture.isOpened():
                raise ClipError(f"{name} cannot be opened as a video: it is damaged, incomplete or holds no pictures")
            check_side(name, capture.get(cv2.CAP_PROP_FRAME_HEIGHT), capture.get(cv2.CAP_PROP_FRAME_WIDTH))
            yield capture
        finally:
            capture.release()

    def _check_complete(self, frames: int, promised: float, fps: float) -> None:
        name = self.path.name
        if frames == 0:
            raise ClipError(f"no frame of {name} can be decoded; it is damaged, incomplete or in an unknown coding")
        # Containers are often wrong by a few frames, and by any number where the rate is a mere time base.
        plausible = np.isfinite(promised) and 0 < promised < 1e7 and 0 < fps <= 240
        if plausible and frames < _COMPLETE.get(self.container, _ESTIMATED) * promised - 3:
            raise ClipError(
                f"{name} ends early: {frames} of its {promised:.0f} frames can be decoded; copy or upload it again"
            )


def container_of(head: bytes) -> str | None:
    """The kind of container by its first bytes (189 of them); None for anything else.

    FFmpeg alone would also follow play lists to other files, and open what nobody means by a video.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}:
        return "mp4"
    if len(head) > 188 and head[0] == head[188] == 0x47:
        return "ts"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


_MAGIC = {
    b"\x1a\x45\xdf\xa3": "webm",
    b"GIF8": "gif",
    b"\x00\x00\x01\xba": "mpg",
    b"\x00\x00\x01\xb3": "mpg",
    b"FLV\x01": "flv",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "wmv",
    b"OggS": "ogv",
}
