"""Which frames of a video make the clip. A new rule is one class here and one entry in `SAMPLINGS`."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

from verification.engine.errors import ClipError


class Sampling(ABC):
    """A rule that picks `wanted` of the `total` frames of a video, in order. `argument`: what follows the colon."""

    name: ClassVar[str]

    def __init__(self, argument: str = "") -> None:
        if argument:
            raise ClipError(f"the sampling {self.name!r} takes no argument, not {argument!r}")

    @abstractmethod
    def _indices(self, total: int, wanted: int, fps: float) -> list[int]:
        """Frame numbers, counted from 0, for 2 <= wanted <= total; they may lie beyond the end."""

    def indices(self, total: int, wanted: int, fps: float) -> list[int]:
        """`wanted` increasing frame numbers below `total`, counted from 0; `fps` is the video's own frame rate.

        Raises ClipError when the video has too few frames for it.
        """
        if total < wanted:
            raise ClipError(
                f"the video has {total} frames to choose from, but the clip needs {wanted}; use more of it, a longer "
                "video or fewer frames"
            )
        chosen = self._indices(total, wanted, fps)
        if chosen[-1] >= total:
            raise ClipError(
                f"the video has {total} frames to choose from, but sampling {wanted} frames this way needs {chosen[-1] + 1}; "
                "use a longer video, fewer frames, or the sampling 'uniform'"
            )
        return chosen


class Uniform(Sampling):
    """Evenly from the first frame to the last: round(i (n-1) / (l-1))."""

    name = "uniform"

    def _indices(self, total: int, wanted: int, fps: float) -> list[int]:
        return [round(i * (total - 1) / (wanted - 1)) for i in range(wanted)]


class Floor(Sampling):
    """Frame i * floor(n / l), as many training scripts do."""

    name = "floor"

    def _indices(self, total: int, wanted: int, fps: float) -> list[int]:
        return [i * (total // wanted) for i in range(wanted)]


_SLOWEST, _FASTEST = 0.001, 1000.0


class FramesPerSecond(Sampling):
    """`fps:X`: every n-th frame from the first on, so that X frames make a second of the video."""

    name = "fps"

    def __init__(self, argument: str = "") -> None:
        try:
            self.rate = float(argument)
        except ValueError:
            self.rate = math.nan
        if not (_SLOWEST <= self.rate <= _FASTEST):
            raise ClipError(
                f"write the sampling as fps:X with X frames a second, {_SLOWEST:g} to {_FASTEST:g}, for example fps:10, "
                f"not fps:{argument[:40]}"
            )

    def _indices(self, total: int, wanted: int, fps: float) -> list[int]:
        if not (math.isfinite(fps) and fps > 0):
            raise ClipError("the video does not say its frame rate; use the sampling 'uniform' or 'floor'")
        step = max(1, round(fps / self.rate))
        return [i * step for i in range(wanted)]


_LONGEST = 20

SAMPLINGS: dict[str, type[Sampling]] = {rule.name: rule for rule in (Uniform, Floor, FramesPerSecond)}


def build_sampling(text: str) -> Sampling:
    """The rule written as `uniform`, `floor` or `fps:X`. Raises ClipError for anything else."""
    if len(text) > _LONGEST:
        raise ClipError(f"the sampling is longer than {_LONGEST} signs; choose uniform, floor or fps:X")
    name, _, argument = text.partition(":")
    if name not in SAMPLINGS:
        raise ClipError(f"there is no sampling {text!r}; choose uniform, floor or fps:X")
    return SAMPLINGS[name](argument)
