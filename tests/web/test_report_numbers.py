"""Numbers of a report are rounded to the side on which the statement stays true."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verification.engine.perturbation import Unit
from verification.engine.rounded import lower_bound, plain, upper_bound
from verification.reports.numbers import duration, keep_together, percent

SIZES = st.floats(min_value=1e-12, max_value=1e9, allow_nan=False)


@given(SIZES)
def test_what_is_printed_as_proven_is_proven(value: float) -> None:
    assert Decimal(lower_bound(value)) <= Decimal(repr(value))


@given(SIZES)
def test_what_is_printed_as_found_is_not_smaller_than_the_example(value: float) -> None:
    assert Decimal(upper_bound(value)) >= Decimal(repr(value))


@given(SIZES)
def test_grey_levels_are_rounded_to_the_same_sides(value: float) -> None:
    grey = Decimal(repr(value)) * 255
    assert Decimal(lower_bound(value, 255)) <= grey <= Decimal(upper_bound(value, 255))


def test_distances_are_written_with_their_unit() -> None:
    assert (Unit.FLOW.proven(0.031259), Unit.FLOW.found(0.031259)) == ("0.03125 px", "0.03126 px")
    assert Unit.VALUE.proven(0.031259) == "0.03125 (7.971 grey levels)"
    assert Unit.VALUE.found(0.031259) == "0.03126 (7.972 grey levels)"
    assert (Unit.FLOW.proven_number(0.5), Unit.VALUE.found_number(1 / 255)) == ("0.5", "0.003922 (1)")


@given(SIZES)
def test_rounding_moves_a_number_by_less_than_a_thousandth(value: float) -> None:
    assert Decimal(upper_bound(value)) - Decimal(lower_bound(value)) <= Decimal(repr(value)) / 999


@pytest.mark.parametrize(
    ("value", "lower", "upper"),
    [
        (0.0, "0", "0"),
        (0.3, "0.3", "0.3"),
        (0.031259, "0.03125", "0.03126"),
        (1.99999, "1.999", "2"),
        (548.681, "548.6", "548.7"),
        (123456.7, "123456", "123457"),
        (3.00001e-9, "3e-9", "3.001e-9"),
    ],
)
def test_examples(value: float, lower: str, upper: str) -> None:
    assert (lower_bound(value), upper_bound(value)) == (lower, upper)


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.999999, "99.99 %"), (0.5, "50 %"), (0.12345, "12.34 %"), (0.0, "0 %")],
)
def test_only_certainty_is_a_hundred_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0 s"),
        (4.25, "4.2 s"),
        (59.97, "1 min"),
        (200.0, "3 min 20 s"),
        (3599.7, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_read_like_speech(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_stay_with_their_units() -> None:
    text = keep_together("at most 0.3 px (50 %), 2 h 5 min of 3 hours")
    assert text == "at most 0.3\u00a0px (50\u00a0%), 2\u00a0h 5\u00a0min of 3 hours"


def test_plain_numbers_are_rounded_to_the_nearest() -> None:
    assert plain(0.123456) == "0.1235"
