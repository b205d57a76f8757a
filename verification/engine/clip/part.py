"""Which part of a video the clip is sampled from."""

from dataclasses import dataclass

from verification.engine.errors import ClipError


@dataclass(frozen=True)
class Part:
    """The frames `first` to `last` of a video, counted from 1, both included; `last` None: to the end."""

    first: int = 1
    last: int | None = None

    def within(self, total: int) -> range:
        """The numbers of these frames in a video of `total` frames, counted from 0.

        Raises ClipError when it does not lie in the video or has fewer than two frames.
        """
        last = total if self.last is None else self.last
        if not 1 <= self.first <= total:
            raise ClipError(f"the first frame must lie between 1 and {total}, the video's last, not be {self.first}")
        if last > total:
            raise ClipError(f"the last frame must be at most {total}, the video's last, not {last}")
        if last <= self.first:
            raise ClipError(
                f"the part from frame {self.first} to {last} has fewer than 2 frames: flow lies between two frames"
            )
        return range(self.first - 1, last)


WHOLE = Part()
