"""A piece of footage, decoded and scaled, with its scenes: what the virtual camera moves over."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from verification.demo.camera import Frames

#: Mean absolute difference of successive frames, in grey levels, above which there is a cut.
_CUT = 40.0


@dataclass(frozen=True)
class Source:
    """`frames`: (n, height, width, 3), RGB. `scenes`: the stretches of frames between cuts."""

    frames: Frames
    scenes: tuple[range, ...]


def read_source(path: Path, *, short_side: int) -> Source:
    """Decode a video and scale its frames so that the shorter side has `short_side` pixels."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames: list[Frames] = []
    while True:
        decoded, picture = capture.read()
        if not decoded:
            break
        height, width = picture.shape[:2]
        scale = short_side / min(height, width)
        size = (round(width * scale), round(height * scale))
        scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        frames.append(np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2RGB), np.uint8))
    capture.release()
    if not frames:
        raise ValueError(f"{path.name} holds no frames")
    stacked = np.stack(frames)
    return Source(stacked, _scenes(stacked))


def _scenes(frames: Frames) -> tuple[range, ...]:
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames]
    cuts = [i for i, (a, b) in enumerate(pairwise(grey), start=1) if float(np.abs(b - a).mean()) > _CUT]
    return tuple(range(start, stop) for start, stop in pairwise([0, *cuts, len(grey)]))
