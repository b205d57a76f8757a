"""From a folder of videos to a trained classifier: read, split, train, measure. Saving is the caller's, when all is well."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from verification.engine.errors import ClipError, TrainingError
from verification.engine.network import InputSpecification
from verification.training.accuracy import Accuracy
from verification.training.fit import Epoch, fit, predictions
from verification.training.material import Material
from verification.training.recipe import Recipe
from verification.training.setup import Design, Setup, build_setup
from verification.training.split import Split, split_by_group, split_by_lists
from verification.training.videos import Collection, Video, find_videos, read_video_list


@dataclass(frozen=True)
class Sources:
    """Where the videos are. The lists are UCF101's `classInd.txt`, `trainlist01.txt`, `testlist01.txt`, or none.

    `cache`: the folder in which sampled frames and features stay for the next time.
    """

    folder: Path
    cache: Path
    class_list: Path | None = None
    training_list: Path | None = None
    testing_list: Path | None = None

    def __post_init__(self) -> None:
        if (self.training_list is None) != (self.testing_list is None):
            raise TrainingError("give a list of videos for training and one for testing, or neither")


@dataclass(frozen=True)
class Progress:
    """Who is told: `reading` (videos read, of how many) after each video, `epoch` after each pass."""

    reading: Callable[[int, int], None] = lambda done, total: None
    epoch: Callable[[Epoch], None] = lambda epoch: None


@dataclass(frozen=True)
class Trained:
    """`network`: in eval mode on the CPU, for clips as `input` says. `tested`: whether `accuracy` is of the testing part.

    Where that is empty it is of the validation part, which chose the weights: a little too good. `skipped`: a sentence for
    each video that could not be read.
    """

    network: nn.Module
    input: InputSpecification
    labels: tuple[str, ...]
    split: Split
    skipped: tuple[str, ...]
    accuracy: Accuracy
    tested: bool


@dataclass
class _Library:
    """What was read: arrays by path, and sentences about what could not be."""

    arrays: dict[Path, NDArray[Any]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def train(
    sources: Sources, design: Design, recipe: Recipe, *, device: str = "cpu", progress: Progress | None = None
) -> Trained:
    """A classifier trained on the videos of `sources`. The same arguments give the same one on the same machine.

    Raises TrainingError or ClassifierError, with one sentence, when that is impossible.
    """
    progress = progress or Progress()
    collection = find_videos(sources.folder, sources.class_list)
    setup = build_setup(design, len(collection.labels), sources.cache, recipe, device)
    library = _read(collection.videos, setup, progress.reading)
    split = _split(sources, collection, library, recipe)

    def material(videos: Sequence[Video]) -> Material:
        numbers = torch.tensor([collection.labels.index(video.label) for video in videos])
        return setup.material([library.arrays[video.path] for video in videos], numbers)

    place = torch.device(device)
    fit(setup.trained, material(split.training), material(split.validation), recipe, place, progress.epoch)
    measured = material(split.testing or split.validation)
    named = predictions(setup.trained, measured, recipe.batch, place).argmax(1)
    accuracy = Accuracy.of(collection.labels, measured.labels, named)
    network = setup.network.cpu().eval()
    return Trained(
        network, setup.input, collection.labels, split, tuple(library.skipped), accuracy, bool(split.testing)
    )


def _read(videos: Sequence[Video], setup: Setup, reading: Callable[[int, int], None]) -> _Library:
    library = _Library()
    for number, video in enumerate(videos, start=1):
        try:
            library.arrays[video.path] = setup.read(video.path)
        except (ClipError, OSError) as error:
            library.skipped.append(f"{video.name}: {error}")
        reading(number, len(videos))
    return library


def _split(sources: Sources, collection: Collection, library: _Library, recipe: Recipe) -> Split:
    readable = [video for video in collection.videos if video.path in library.arrays]
    missing = set(collection.labels) - {video.label for video in readable}
    if missing:
        label = sorted(missing)[0]
        first = next(sentence for sentence in library.skipped if sentence.startswith(f"{label}/"))
        raise TrainingError(f"no video of the class {label} can be read; the first: {first}")
    if sources.training_list is None or sources.testing_list is None:
        return split_by_group(readable, validation=recipe.validation, testing=recipe.testing, seed=recipe.seed)
    lists = read_video_list(sources.training_list), read_video_list(sources.testing_list)
    return split_by_lists(readable, *lists, validation=recipe.validation, seed=recipe.seed)
