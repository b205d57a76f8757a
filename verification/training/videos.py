"""The videos to learn from: a folder of folders, one for each class, and UCF101's own lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verification.engine.clip import VIDEO_SUFFIXES
from verification.engine.clip.naming import named
from verification.engine.errors import TrainingError


@dataclass(frozen=True)
class Video:
    """`group`: videos with the same group must not be learnt from and tested on at the same time."""

    path: Path
    label: str
    group: str

    @property
    def name(self) -> str:
        """As UCF101's lists write it: `class/file`."""
        return f"{self.label}/{self.path.name}"


@dataclass(frozen=True)
class Collection:
    """`labels`: the classes in the order of the classifier's outputs."""

    labels: tuple[str, ...]
    videos: tuple[Video, ...]


def group_of(label: str, path: Path) -> str:
    """The group that a file name of UCF101 says (`v_Class_gNN_cNN.avi`); any other file is a group of its own."""
    return f"{label}/{named(path.name).group or path.name}"


def find_videos(folder: Path, class_list: Path | None = None) -> Collection:
    """All videos in the folders of `folder`, whose names are the classes, in alphabetical order.

    `class_list`: a file like UCF101's `classInd.txt`, which names the classes and their order instead; folders that it does
    not name are left out. Raises TrainingError where there is no such folder, or fewer than two classes with videos.
    """
    if not folder.is_dir():
        raise TrainingError(f"there is no folder {folder}; name one that holds a folder of videos for each class")
    labels = _listed_classes(class_list) if class_list else sorted(path.name for path in _folders(folder))
    found = {label: _videos_in(folder / label, label) for label in labels}
    empty = [label for label, videos in found.items() if not videos]
    if class_list and empty:
        raise TrainingError(f"{class_list.name} names the class {empty[0]}, but {folder} has no videos of it")
    known = tuple(label for label, videos in found.items() if videos)
    if len(known) < 2:
        what = f"only the class {known[0]}" if known else "no class"
        raise TrainingError(
            f"{folder} holds {what} with videos; training needs a folder of videos for each of at least two classes"
        )
    return Collection(known, tuple(video for label in known for video in found[label]))


def read_video_list(path: Path) -> tuple[str, ...]:
    """The names `class/file` in a list like UCF101's `trainlist01.txt` or `testlist01.txt`; numbers behind them are left out.

    Raises TrainingError for a file that cannot be read or that names nothing.
    """
    names = tuple(line.split()[0].replace("\\", "/") for line in _lines(path))
    wrong = [name for name in names if name.count("/") != 1]
    if wrong:
        raise TrainingError(f"{path.name} must name a video as class/file on each line, not {wrong[0][:80]!r}")
    return names


def _listed_classes(path: Path) -> list[str]:
    """The classes of a file whose lines are `number name`, or only names."""
    return [line.split()[-1] for line in _lines(path)]


def _lines(path: Path) -> list[str]:
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise TrainingError(f"{path} cannot be read as a text file; check the path") from None
    if not lines:
        raise TrainingError(f"{path} is empty; it should have a line for each entry")
    return lines


def _folders(folder: Path) -> Sequence[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _videos_in(folder: Path, label: str) -> list[Video]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    videos = [path for path in paths if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES]
    return [Video(path, label, group_of(label, path)) for path in videos if not path.name.startswith(".")]
