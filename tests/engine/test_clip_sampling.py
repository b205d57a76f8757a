"""Which frames of a video make the clip."""

import pytest

from verification.engine import ClipError
from verification.engine.clip import build_sampling


@pytest.mark.parametrize(
    ("rule", "total", "wanted", "fps", "expected"),
    [
        ("uniform", 10, 4, 25.0, [0, 3, 6, 9]),
        ("uniform", 11, 3, 25.0, [0, 5, 10]),
        ("uniform", 5, 5, 25.0, [0, 1, 2, 3, 4]),
        ("floor", 151, 20, 25.0, [7 * i for i in range(20)]),
        ("floor", 7, 4, 25.0, [0, 1, 2, 3]),
        ("fps:10", 100, 4, 30.0, [0, 3, 6, 9]),
        ("fps:60", 100, 3, 30.0, [0, 1, 2]),
    ],
)
def test_frames_that_are_picked(rule: str, total: int, wanted: int, fps: float, expected: list[int]) -> None:
    assert build_sampling(rule).indices(total, wanted, fps) == expected


@pytest.mark.parametrize("rule", ["uniform", "floor", "fps:7.5"])
def test_frames_are_increasing_and_exist(rule: str) -> None:
    for total in range(20, 60):
        indices = build_sampling(rule).indices(total, 5, 30.0)

        assert indices == sorted(set(indices))
        assert indices[0] >= 0 and indices[-1] < total


@pytest.mark.parametrize("text", ["", "all", "uniform:2", "fps", "fps:", "fps:0", "fps:-3", "fps:nan", "fps:fast"])
def test_unknown_rules_are_refused(text: str) -> None:
    with pytest.raises(ClipError, match="sampling"):
        build_sampling(text)


def test_a_rate_needs_a_video_that_is_long_enough() -> None:
    with pytest.raises(ClipError, match="has 10 frames to choose from, but sampling 5 frames this way needs 13"):
        build_sampling("fps:10").indices(10, 5, 30.0)


def test_a_rate_needs_a_video_that_says_its_own() -> None:
    with pytest.raises(ClipError, match="does not say its frame rate"):
        build_sampling("fps:10").indices(100, 5, 0.0)
