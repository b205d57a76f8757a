"""Clips of one group never lie on both sides of a split."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verification.engine.errors import TrainingError
from verification.training.split import split_by_group, split_by_lists
from verification.training.videos import Video, group_of

#: For each class the number of clips of each of its groups.
collections = st.dictionaries(
    st.sampled_from(["Archery", "Bowling", "Diving"]), st.lists(st.integers(1, 4), min_size=2, max_size=12), min_size=2
)


def videos_of(classes: dict[str, list[int]]) -> list[Video]:
    found = []
    for label, groups in classes.items():
        for group, clips in enumerate(groups, start=1):
            for clip in range(1, clips + 1):
                path = Path(label) / f"v_{label}_g{group:02d}_c{clip:02d}.avi"
                found.append(Video(path, label, group_of(label, path)))
    return found


@given(classes=collections, seed=st.integers(0, 1000), validation=st.floats(0.05, 0.6), testing=st.floats(0, 0.6))
def test_groups_never_straddle(classes: dict[str, list[int]], seed: int, validation: float, testing: float) -> None:
    videos = videos_of(classes)

    split = split_by_group(videos, validation=validation, testing=testing, seed=seed)

    parts = [split.training, split.validation, split.testing]
    groups = [{video.group for video in part} for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert sorted(video.name for part in parts for video in part) == sorted(video.name for video in videos)
    for part in parts[:2]:
        assert {video.label for video in part} == set(classes)


def test_files_without_a_group_are_groups_of_their_own() -> None:
    assert group_of("Diving", Path("v_Diving_g02_c02.avi")) == group_of("Diving", Path("v_Diving_g02_c05.avi"))
    assert group_of("Diving", Path("one.mp4")) != group_of("Diving", Path("two.mp4"))
    assert group_of("Diving", Path("one.mp4")) != group_of("Rowing", Path("one.mp4"))


def test_a_group_in_both_lists_is_refused() -> None:
    videos = videos_of({"Archery": [2, 2, 2], "Bowling": [2, 2, 2]})
    names = [video.name for video in videos]

    with pytest.raises(
        TrainingError, match="the group Archery/Archery_g01 is in the list for training and in that for testing"
    ):
        split_by_lists(videos, names, ["Archery/v_Archery_g01_c02.avi"], validation=0.2, seed=0)
