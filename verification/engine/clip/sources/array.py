"""Clips as NumPy arrays."""

import errno
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verification.engine.clip.sources.base import Picture, Source, VideoInfo
from verification.engine.errors import ClipError, first_line

_HELP = "save it as (frames, height, width, 3) or (frames, 3, height, width), uint8 from 0 to 255 or float from 0 to 1"


class ArrayFile(Source):
    """An .npy file, mapped, not read: uint8 from 0 to 255, or float in [0, 1], which is not rounded; RGB or grey.

    (t, h, w, 3), (t, 3, h, w) or (t, h, w); no frame rate is known.
    """

    def info(self) -> VideoInfo:
        frames = self._frames()
        if frames.dtype != np.uint8:
            for number, frame in enumerate(frames, start=1):
                # NaN fails both.
                if not bool(((frame >= 0) & (frame <= 1)).all()):
                    raise ClipError(
                        f"{self.path.name} has values outside of 0 to 1 in frame {number}; "
                        "divide them by 255, or save it as uint8"
                    )
        count, height, width = frames.shape[:3]
        return self.described(count, 0.0, height, width)

    def pictures(self, numbers: Sequence[int]) -> Iterator[Picture]:
        frames = self._frames()
        for number in numbers:
            frame = np.ascontiguousarray(frames[number])
            yield frame if frame.dtype == np.uint8 else frame.astype(np.float32)

    def _frames(self) -> NDArray[Any]:
        """(t, h, w, 3), a view of the mapped file."""
        name = self.path.name
        try:
            # Never pickles: they could run code.
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError from error  # the file may be whole; what it lacks is room
            raise ClipError(f"{name} cannot be read ({first_line(error)[:120]}); {_HELP}") from error
        except (ValueError, EOFError, MemoryError, SyntaxError, TypeError, OverflowError) as error:
            raise ClipError(f"{name} is not a whole array of numbers ({first_line(error)[:120]}); {_HELP}") from error
        if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
            raise ClipError(f"{name} holds values of type {array.dtype}; {_HELP}")
        if array.ndim == 3 and array.shape[2] != 3:
            array = np.broadcast_to(array[..., None], (*array.shape, 3))
        elif array.ndim == 4 and array.shape[3] != 3 and array.shape[1] == 3:
            array = array.transpose(0, 2, 3, 1)
        if array.ndim != 4 or array.shape[3] != 3 or 0 in array.shape:
            raise ClipError(f"{name} is an array of shape {array.shape}; {_HELP}")
        return array
