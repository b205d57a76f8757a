"""`verify` from start to end: what it says, when it ends, and that it can be repeated."""

import time

import pytest

from tests.engine.questions import Recording, make_specification
from verification.engine import Budget, Guarantee, Norm, Observer, Result, SpecificationError, Status, verify


@pytest.fixture(scope="module")
def run() -> tuple[Result, Recording]:
    observer = Recording()
    return verify(make_specification(1, budget=Budget(600, rounds=20)), observer), observer


def test_both_bounds_are_found(run: tuple[Result, Recording]) -> None:
    result, _ = run

    assert result.upper is not None and 0 < result.lower < result.upper
    assert result.lower_guarantee is Guarantee.SOUND
    assert result.status is Status.EXHAUSTED
    assert result.adversarial is not None
    assert result.adversarial.distances[Norm.L2] == result.upper


def test_the_observer_hears_all_of_it(run: tuple[Result, Recording]) -> None:
    result, observer = run

    assert observer.begun == [(result.label, result.confidence)]
    assert tuple(observer.points) == result.history
    assert observer.examples[-1] is result.adversarial
    assert observer.events and all("\n" not in text for text in observer.events)
    assert observer.checkpoints


def test_the_first_point_says_that_nothing_is_known(run: tuple[Result, Recording]) -> None:
    first = run[0].history[0]

    assert (first.number, first.lower, first.upper) == (1, 0.0, None)


def test_the_same_seed_gives_the_same_result(run: tuple[Result, Recording]) -> None:
    again = verify(make_specification(1, budget=Budget(600, rounds=20)))

    assert [(p.lower, p.upper, p.source) for p in again.history] == [
        (p.lower, p.upper, p.source) for p in run[0].history
    ]


def test_a_small_radius_is_certified() -> None:
    result = verify(make_specification(1, radius=0.01, budget=Budget(600, rounds=60)))

    assert result.status is Status.CERTIFIED
    assert result.lower >= 0.01
    assert result.upper is None and result.adversarial is None


def test_a_generous_tolerance_is_reached() -> None:
    result = verify(make_specification(1, budget=Budget(600, rounds=60, tolerance=0.95)))

    assert result.status is Status.CONVERGED
    assert result.upper is not None and result.lower >= 0.05 * result.upper


def test_the_seconds_are_kept() -> None:
    began = time.monotonic()
    result = verify(make_specification(1, budget=Budget(seconds=1.0, tolerance=0.0)))

    assert result.status is Status.EXHAUSTED
    assert result.seconds >= 1.0
    assert time.monotonic() - began < 15


class Impatient(Observer):
    """Stops at once."""

    def should_stop(self) -> bool:
        return True


def test_being_stopped_gives_the_bounds_so_far() -> None:
    began = time.monotonic()
    result = verify(make_specification(1, budget=Budget(seconds=600)), Impatient())

    assert result.status is Status.STOPPED
    assert result.history
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"radius": 0.0}, "radius must be above zero"),
        ({"radius": -1.0}, "radius must be above zero"),
        ({"space": "warped"}, "no space 'warped'"),
        ({"flows": (9,)}, "flows 1 to 3"),
        ({"extractor": "guess"}, "no flow extractor 'guess'"),
    ],
)
def test_senseless_questions_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        make_specification(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields", [{"seconds": 0}, {"seconds": float("nan")}, {"rounds": 0}, {"tolerance": 1.0}, {"memory": 0.0}]
)
def test_senseless_budgets_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(SpecificationError):
        Budget(**fields)  # type: ignore[arg-type]
