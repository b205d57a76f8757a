"""The history of both bounds: numbered without gaps, the lower never falls, the upper never rises, they never cross."""

from collections.abc import Sequence

from verification.engine.result import BoundPoint


class BrokenProofError(AssertionError):
    """A proof and a counterexample contradict each other: a defect of this program, never shown as a result."""


class Ledger:
    """Begins with the point (0, unknown), or goes on from `history`."""

    def __init__(self, history: Sequence[BoundPoint] = ()) -> None:
        self._points = list(history) or [BoundPoint(1, 0.0, 0.0, None, "lower")]

    @property
    def history(self) -> tuple[BoundPoint, ...]:
        return tuple(self._points)

    @property
    def last(self) -> BoundPoint:
        return self._points[-1]

    @property
    def lower(self) -> float:
        return self.last.lower

    @property
    def upper(self) -> float | None:
        return self.last.upper

    def prove(self, lower: float, seconds: float) -> BoundPoint | None:
        """Enter a proven radius. Returns the new point, None when it is no progress. Raises BrokenProofError."""
        if not lower > self.lower:
            return None
        return self._add(lower, self.upper, seconds, "lower")

    def find(self, upper: float, seconds: float) -> BoundPoint | None:
        """Enter the norm of a confirmed adversarial example. As `prove`."""
        if self.upper is not None and not upper < self.upper:
            return None
        return self._add(self.lower, upper, seconds, "upper")

    def _add(self, lower: float, upper: float | None, seconds: float, source: str) -> BoundPoint:
        if upper is not None and lower > upper:
            raise BrokenProofError(
                f"the radius {lower!r} was proven safe, but an adversarial example lies at {upper!r}; "
                "one of them is wrong: please report this with the clip and the classifier"
            )
        point = BoundPoint(self.last.number + 1, max(seconds, self.last.seconds), lower, upper, source)
        self._points.append(point)
        return point
