"""The recorded bounds of one verification, thinned for a chart and for a table that fits a page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verification.models import Bound, Verification

CHART_POINTS = 1000
TABLE_ROWS = 12


@dataclass(frozen=True)
class Point:
    """One recorded step. `seconds` of running time; bounds in the unit of the space; `source` says which of them moved."""

    number: int
    seconds: float
    lower: float
    upper: float | None
    source: str


def read(verification: Verification) -> list[Point]:
    """All recorded points in order."""
    rows = Bound.objects.filter(verification=verification).order_by("number")
    return [Point(*row) for row in rows.values_list("number", "seconds", "lower", "upper", "source")]


def thin(points: Sequence[Point], count: int) -> list[Point]:
    """About `count` of the points: an even choice, the last, and those where a bound begins to be known.

    Both bounds are monotone, so a point that is left out lies between its neighbours.
    """
    if len(points) <= count:
        return list(points)
    first_lower = next((index for index, point in enumerate(points) if point.lower > 0), 0)
    first_upper = next((index for index, point in enumerate(points) if point.upper is not None), 0)
    even = {round(step * (len(points) - 1) / (count - 1)) for step in range(count)}
    return [points[index] for index in sorted(even | {first_lower, first_upper})]


def chart(points: Sequence[Point]) -> list[dict[str, Any]]:
    """The points as the chart on the page reads them: the same JSON as the API's and the socket's."""
    return [asdict(point) for point in thin(points, CHART_POINTS)]
