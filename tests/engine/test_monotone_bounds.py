"""Bounds move one way only and never cross, whatever the searches report."""

import random
from itertools import pairwise

import pytest

from tests.engine.questions import Recording, make_specification
from verification.engine import Budget, Norm, verify
from verification.engine.ledger import BrokenProofError, Ledger


@pytest.mark.parametrize("norm", list(Norm))
def test_a_run_is_monotone_and_numbered_without_gaps(norm: Norm) -> None:
    observer = Recording()
    verify(make_specification(1, norm=norm, budget=Budget(600, rounds=10)), observer)

    points = observer.points
    assert [point.number for point in points] == list(range(1, len(points) + 1))
    for before, after in pairwise(points):
        assert after.seconds >= before.seconds
        assert after.lower >= before.lower
        assert before.upper is None or (after.upper is not None and after.upper <= before.upper)
        assert (after.lower > before.lower) == (after.source == "lower")
        assert after.upper is None or after.lower <= after.upper


def test_the_ledger_refuses_steps_back() -> None:
    generator = random.Random(0)
    ledger = Ledger()
    for second in range(200):
        if generator.random() < 0.5:
            ledger.prove(generator.uniform(0, 1), second)
        else:
            ledger.find(generator.uniform(1, 2), second)

    history = ledger.history
    assert len(history) > 5
    assert [point.number for point in history] == list(range(1, len(history) + 1))
    assert [point.lower for point in history] == sorted(point.lower for point in history)
    uppers = [point.upper for point in history if point.upper is not None]
    assert uppers == sorted(uppers, reverse=True)


def test_no_progress_is_no_point() -> None:
    ledger = Ledger()

    assert ledger.prove(0.0, 1.0) is None
    assert ledger.prove(float("nan"), 1.0) is None
    assert ledger.find(2.0, 1.0) is not None
    assert ledger.find(2.0, 2.0) is None


def test_a_proof_against_a_counterexample_is_a_loud_defect() -> None:
    ledger = Ledger()
    ledger.find(1.0, 1.0)

    with pytest.raises(BrokenProofError, match="report this"):
        ledger.prove(1.5, 2.0)
    assert ledger.lower == 0.0
