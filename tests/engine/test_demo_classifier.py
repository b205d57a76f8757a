"""The committed demo classifier names the movements of the virtual camera over footage that it never saw."""

import os
from pathlib import Path

import pytest
import torch

from verification.demo.camera import LABELS, Movement
from verification.demo.clip import demo_video, write_test_videos
from verification.demo.footage import FootageError, fetch_footage
from verification.demo.train import WEIGHTS, measure
from verification.engine.clip import read_clip
from verification.engine.network import Classifier, load_classifier


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier(WEIGHTS)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The real footage, from FLOWVERIFY_HOME where it was fetched already."""
    home = os.environ.get("FLOWVERIFY_HOME")
    directory = Path(home) / "footage" if home else tmp_path_factory.mktemp("footage")
    try:
        return fetch_footage(directory)
    except FootageError as error:
        pytest.skip(f"the real footage cannot be had: {error}")


def probabilities(classifier: Classifier, video: Path) -> torch.Tensor:
    wanted = classifier.input
    clip = read_clip(video, frames=wanted.frames, size=(wanted.height, wanted.width), sampling=wanted.sampling)
    with torch.no_grad():
        return classifier.module(clip.frames[None]).softmax(1)[0]


def test_the_file_says_all_that_is_needed(classifier: Classifier) -> None:
    assert classifier.architecture == "camera_motion"
    assert classifier.labels == LABELS
    assert classifier.input.shape == (1, 8, 3, 64, 64)
    assert WEIGHTS.stat().st_size < 1_000_000


def test_accuracy_on_footage_that_training_did_not_see(classifier: Classifier, footage: dict[str, Path]) -> None:
    accuracy = measure(classifier.module, footage, clips=420)

    assert accuracy.share >= 0.95, accuracy
    assert min(accuracy.by_label.values()) >= 0.85, accuracy


def test_the_demo_video_is_named_right(classifier: Classifier, footage: dict[str, Path], tmp_path: Path) -> None:
    video = demo_video(footage["carphone"].parent)

    chances = probabilities(classifier, video)

    assert classifier.labels[int(chances.argmax())] == Movement.PAN_RIGHT
    assert chances.max() > 0.7


def test_the_demo_video_has_the_same_bytes_every_time(footage: dict[str, Path]) -> None:
    directory = footage["carphone"].parent
    first = demo_video(directory).read_bytes()
    demo_video(directory).unlink()

    assert demo_video(directory).read_bytes() == first


def test_more_videos_for_the_benchmarks(classifier: Classifier, footage: dict[str, Path]) -> None:
    videos = list(write_test_videos(footage["carphone"].parent, 14))

    assert len({path for path, _ in videos}) == 14
    right = [classifier.labels[int(probabilities(classifier, p).argmax())] == m for p, m in videos]
    assert sum(right) >= 12
