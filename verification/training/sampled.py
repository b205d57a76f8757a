"""Sampled frames on disk: each video is decoded once, and only the frames of its clips are kept, as bytes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from verification.engine.clip import file_sha256
from verification.engine.clip.decode import probe_video, resized_frames
from verification.engine.clip.sampling import build_sampling
from verification.engine.network import InputSpecification
from verification.training.storage import store

Frames = NDArray[np.uint8]
"""(..., l, height, width, 3), RGB."""

#: By how many steps of the sampling the clips of one video are shifted in time. The first is what `read_clip` reads.
SHIFTS = (0.0, -1 / 3, 1 / 3)

#: Changes when what is stored does.
_VERSION = 1


@dataclass(frozen=True)
class SampledFrames:
    """A cache of clips in `folder`, for classifiers that want `input`. Files are named by what decides their content."""

    folder: Path
    input: InputSpecification

    def key(self, path: Path) -> str:
        """The name of what is kept of a video: a hash of its bytes and of the sampling."""
        wanted = (self.input.frames, self.input.height, self.input.width, self.input.sampling)
        return hashlib.sha256(repr((_VERSION, file_sha256(path), wanted, SHIFTS)).encode()).hexdigest()[:32]

    def read(self, path: Path) -> Frames:
        """(shifts, l, h, w, 3): the clips of a video, mapped into memory, decoded if they are not there yet.

        Raises ClipError for a video that cannot be read or is too short.
        """
        stored = self.folder / f"{self.key(path)}.npy"
        if not stored.is_file():
            store(stored, self._decoded(path))
        frames: Frames = np.load(stored, mmap_mode="r")
        return frames

    def _decoded(self, path: Path) -> Frames:
        info = probe_video(path)
        exact = build_sampling(self.input.sampling).indices(info.frames, self.input.frames, info.fps)
        step = (exact[-1] - exact[0]) / (len(exact) - 1)
        numbers = [[min(max(i + round(shift * step), 0), info.frames - 1) for i in exact] for shift in SHIFTS]
        needed = sorted({i for row in numbers for i in row})
        pictures = dict(zip(needed, resized_frames(path, needed, (self.input.height, self.input.width)), strict=True))
        return np.stack([np.stack([pictures[i] for i in row]) for row in numbers])
