"""A query is told whether a radius is safe, and ends as soon as that is known."""

import pytest

from tests.engine.questions import make_specification
from verification.engine import Budget, LowerMethod, Specification, SpecificationError, Status, verify
from verification.engine.result import Answer


def _asked(**fields: object) -> Specification:
    return make_specification(1, space="translation", flows=(1,), **fields)


@pytest.fixture(scope="module")
def bounds() -> tuple[float, float]:
    """Both bounds of the maximum safe radius."""
    result = verify(_asked(budget=Budget(seconds=600, rounds=60, tolerance=0.05)))
    assert result.upper is not None
    assert result.lower > 0.5 * result.upper
    return result.lower, result.upper


def test_a_safe_radius_is_proven(bounds: tuple[float, float]) -> None:
    radius = 0.9 * bounds[0]
    result = verify(_asked(radius=radius, query=True, budget=Budget(seconds=600, rounds=200)))
    assert (result.status, result.answer(radius)) == (Status.CERTIFIED, Answer.SAFE)
    assert result.lower >= radius
    assert result.upper is None


def test_the_first_example_within_the_radius_answers(bounds: tuple[float, float]) -> None:
    radius = 3 * bounds[1]
    result = verify(_asked(radius=radius, query=True, budget=Budget(seconds=600, rounds=200)))
    assert (result.status, result.answer(radius)) == (Status.REFUTED, Answer.UNSAFE)
    assert result.upper is not None
    assert result.upper <= radius
    assert len([point for point in result.history if point.source == "upper"]) == 1


def test_a_spent_budget_leaves_it_unknown(bounds: tuple[float, float]) -> None:
    radius = (bounds[0] * bounds[1]) ** 0.5
    question = _asked(radius=radius, query=True, lower_method=LowerMethod.ROOT, budget=Budget(seconds=600, rounds=1))
    result = verify(question)
    assert (result.status, result.answer(radius)) == (Status.EXHAUSTED, Answer.UNKNOWN)


def test_a_query_without_a_radius_is_refused() -> None:
    with pytest.raises(SpecificationError, match="name the radius"):
        make_specification(query=True)
