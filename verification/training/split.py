"""Which videos are learnt from, which say when to stop, and which measure the result. Groups stay together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from verification.engine.errors import TrainingError
from verification.training.videos import Video


@dataclass(frozen=True)
class Split:
    """Disjoint parts that share no group. `testing` is empty where a class has no third group to spare."""

    training: tuple[Video, ...]
    validation: tuple[Video, ...]
    testing: tuple[Video, ...]


def split_by_group(videos: Sequence[Video], *, validation: float, testing: float, seed: int) -> Split:
    """Give about the shares `validation` and `testing` of each class's groups to these parts, at least one group each.

    A class of two groups has no part in `testing`. The same videos and the same seed give the same split. Raises
    TrainingError for a class with fewer than two groups.
    """
    parts: tuple[list[Video], list[Video], list[Video]] = ([], [], [])
    rng = np.random.default_rng(seed)
    for label in sorted({video.label for video in videos}):
        groups = sorted({video.group for video in videos if video.label == label})
        _check_groups(label, len(groups))
        order = [groups[i] for i in rng.permutation(len(groups))]
        tested = 0 if testing == 0 or len(groups) < 3 else _share(testing, len(groups), len(groups) - 2)
        validated = _share(validation, len(groups), len(groups) - tested - 1)
        place = {group: 2 if i < tested else 1 if i < tested + validated else 0 for i, group in enumerate(order)}
        for video in videos:
            if video.label == label:
                parts[place[video.group]].append(video)
    return Split(*map(tuple, parts))


def split_by_lists(
    videos: Sequence[Video], training: Iterable[str], testing: Iterable[str], *, validation: float, seed: int
) -> Split:
    """As two lists of names `class/file` say; the groups for validation are taken from those of `training`.

    Videos in neither list are left out. Raises TrainingError for a group that is in both, and where too little is left.
    """
    wanted, tested = set(training), set(testing)
    learnt = [video for video in videos if video.name in wanted]
    held_out = tuple(video for video in videos if video.name in tested)
    both = {video.group for video in learnt} & {video.group for video in held_out}
    if both:
        raise TrainingError(
            f"the group {sorted(both)[0]} is in the list for training and in that for testing; its clips look alike, "
            "so keep it in one of them"
        )
    absent = {video.label for video in videos} - {video.label for video in learnt}
    if absent:
        raise TrainingError(f"the list for training names no video of the class {sorted(absent)[0]} that is there")
    if tested and not held_out:
        raise TrainingError("the list for testing names no video that is there; check that it belongs to this folder")
    rest = split_by_group(learnt, validation=validation, testing=0.0, seed=seed)
    return Split(rest.training, rest.validation, held_out)


def _share(share: float, groups: int, most: int) -> int:
    return min(max(1, round(share * groups)), most)


def _check_groups(label: str, groups: int) -> None:
    if groups < 2:
        raise TrainingError(
            f"the class {label} has {groups} group of videos that can be read; training needs at least two, one to learn "
            "from and one to validate on: add videos"
        )
