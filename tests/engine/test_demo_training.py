"""Training with the same seed gives the same classifier, whatever footage it is given."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from django.core.management import CommandError, call_command

from verification.demo.train import Recipe, measure, save, train
from verification.engine.network import load_classifier
from verification.training.robust import ROBUST

RECIPE = Recipe(steps=3, batch=4)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three made videos of moving texture with a cut in the middle, 20 frames of 160x200."""
    directory = tmp_path_factory.mktemp("made")
    paths = {name: directory / f"{name}.avi" for name in ("bikes", "bigbuckbunny", "carphone")}
    for seed, path in enumerate(paths.values()):
        rng = np.random.default_rng(seed)
        scenes = [cv2.resize(rng.integers(0, 255, (10, 12, 3), np.uint8), (240, 200)) for _ in range(2)]
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (200, 160))
        for i in range(20):
            writer.write(np.ascontiguousarray(np.roll(scenes[i // 10], i, axis=1)[20:180, 20:220]))
        writer.release()
    return paths


def test_the_same_seed_gives_the_same_file(footage: dict[str, Path], tmp_path: Path) -> None:
    files = [tmp_path / "first.safetensors", tmp_path / "second.safetensors"]
    for file in files:
        save(train(footage, recipe=RECIPE, seed=3), file)

    assert files[0].read_bytes() == files[1].read_bytes()
    assert load_classifier(files[0]).input.shape == (1, 8, 3, 64, 64)


def test_a_robust_loss_gives_another_classifier_and_the_same_one_again(footage: dict[str, Path]) -> None:
    recipe = replace(RECIPE, robust=ROBUST["linear"](2.0))
    plain, first, second = (train(footage, recipe=r, seed=3).state_dict() for r in (RECIPE, recipe, recipe))

    assert not torch.equal(plain["stem.weight"], first["stem.weight"])
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("asked", [("--robust", "linear", "--radius", "3"), ("--fine-tune",), ("--decay", "0.01")])
def test_weights_of_another_recipe_do_not_replace_the_demo_s_own(asked: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="name the file to write with --output"):
        call_command("train_demo", *asked)


@pytest.mark.parametrize("decay", ["-1", "nan", "inf"])
def test_a_decay_is_no_number_below_zero(tmp_path: Path, decay: str) -> None:
    output = tmp_path / "weights.safetensors"
    with pytest.raises(CommandError, match="at least 0"):
        call_command("train_demo", f"--decay={decay}", output=output)
    assert not output.exists()


def test_another_seed_gives_another_classifier(footage: dict[str, Path]) -> None:
    first, second = (train(footage, recipe=RECIPE, seed=seed) for seed in (3, 4))

    assert not torch.equal(first.state_dict()["stem.weight"], second.state_dict()["stem.weight"])


def test_progress_is_told_after_every_step(footage: dict[str, Path]) -> None:
    told: list[tuple[int, float, float]] = []

    train(footage, recipe=RECIPE, progress=lambda step, loss, seconds: told.append((step, loss, seconds)))

    assert [step for step, _, _ in told] == [1, 2, 3]
    assert all(np.isfinite(loss) and seconds > 0 for _, loss, seconds in told)


def test_accuracy_counts_every_clip(footage: dict[str, Path]) -> None:
    accuracy = measure(train(footage, recipe=RECIPE), footage, clips=21)

    assert accuracy.clips == 21
    assert accuracy.share == pytest.approx(sum(accuracy.by_label.values()) / 7)
