"""`manage.py train` as people type it: a file that `manage.py verify` accepts, and one sentence for whatever is wrong."""

import io
import json
from pathlib import Path

import pytest
import torch
from django.core.management import CommandError, call_command
from safetensors.torch import save_file

from tests.training.footage import make_collection, write_clip
from verification.engine.network import load_classifier

SMALL = ["--frames", "4", "--size", "16x16"]
TINY = '{"channels": [4], "stride": 4, "features": 6, "hidden": 6}'


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_collection(tmp_path_factory.mktemp("videos"))


def run(*arguments: object, cache: Path) -> str:
    """What the command prints."""
    out = io.StringIO()
    call_command("train", *map(str, arguments), "--cache", str(cache), stdout=out)
    return out.getvalue()


def test_a_trained_file_is_right_and_can_be_verified(collection: Path, tmp_path: Path) -> None:
    file, result = tmp_path / "colours.safetensors", tmp_path / "result.json"

    said = run("cnn_lstm", collection, "--output", file, "--config", TINY, *SMALL, "--epochs", 25,
               "--batch", 4, "--rate", 0.01, cache=tmp_path / "cache")  # fmt: skip

    assert "8 videos to learn from, 4 to validate on, 4 to test on" in said
    assert "accuracy on the testing videos: 100.0% of 4" in said
    assert load_classifier(file).labels == ("Blue", "Red")
    video = collection / "Red" / "v_Red_g01_c01.avi"
    call_command(
        "verify", str(video), "--classifier", str(file), "--seconds", "2", "--json", str(result), stdout=io.StringIO()
    )
    assert json.loads(result.read_text())["label"] == 1


def test_the_same_seed_gives_the_same_file(collection: Path, tmp_path: Path) -> None:
    files = [tmp_path / "first.safetensors", tmp_path / "second.safetensors"]
    for file in files:
        run("cnn_gru", collection, "--output", file, "--config", TINY, *SMALL, "--epochs", 2, cache=tmp_path / "c")

    assert files[0].read_bytes() == files[1].read_bytes()


def test_lists_of_ucf101_decide_what_is_tested(collection: Path, tmp_path: Path) -> None:
    names = {group: [f"{c}/v_{c}_g0{group}_c0{k}.avi" for c in ("Red", "Blue") for k in (1, 2)] for group in (1, 2, 3)}
    (tmp_path / "trainlist01.txt").write_text("".join(f"{name} 1\n" for name in names[1] + names[2]))
    (tmp_path / "testlist01.txt").write_text("\n".join(names[3]))
    (tmp_path / "classInd.txt").write_text("1 Red\n2 Blue\n")
    lists = ["--train-list", "trainlist01.txt", "--test-list", "testlist01.txt", "--class-list", "classInd.txt"]
    options = [tmp_path / word if word.endswith(".txt") else word for word in lists]
    file = tmp_path / "net.safetensors"

    said = run("c3d", collection, "--output", file, *SMALL, "--config", '{"channels": [2], "convolutions": [1]}',
               "--epochs", 1, *options, cache=tmp_path / "cache")  # fmt: skip

    assert "4 videos to learn from, 4 to validate on, 4 to test on" in said
    assert load_classifier(file).labels == ("Red", "Blue")


def test_videos_that_cannot_be_read_are_skipped_and_listed(tmp_path: Path) -> None:
    videos = make_collection(tmp_path / "videos", groups=2, clips=1)
    (videos / "Red" / "broken.avi").write_bytes(b"RIFF....AVI not really")

    said = run("cnn_lstm", videos, "--output", tmp_path / "net.safetensors", "--config", TINY, *SMALL,
               "--epochs", 1, cache=tmp_path / "cache")  # fmt: skip

    assert "skipped Red/broken.avi: broken.avi cannot be opened as a video" in said
    assert "accuracy on the validation videos, which chose the weights" in said


def test_vgg16_keeps_the_given_convolutions(tmp_path: Path) -> None:
    videos = make_collection(tmp_path / "videos", groups=2, clips=1)
    file, given = tmp_path / "net.safetensors", {"classifier.0.weight": torch.ones(2, 2)}
    before = 3
    layers = {
        0: 64,
        2: 64,
        5: 128,
        7: 128,
        10: 256,
        12: 256,
        14: 256,
        17: 512,
        19: 512,
        21: 512,
        24: 512,
        26: 512,
        28: 512,
    }
    for number, channels in layers.items():
        given[f"features.{number}.weight"] = torch.randn(channels, before, 3, 3) * (2 / (9 * before)) ** 0.5
        given[f"features.{number}.bias"] = torch.zeros(channels)
        before = channels
    save_file(given, tmp_path / "vgg16.safetensors")
    command = ["vgg16_lstm", videos, "--output", file, "--config", '{"hidden": 4}', "--frames", 2, "--size", "32x32",
               "--epochs", 2, "--no-jitter", "--vgg16", tmp_path / "vgg16.safetensors"]  # fmt: skip

    run(*command, cache=tmp_path / "cache")
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    run(*command, cache=tmp_path / "cache")

    classifier = load_classifier(file)
    assert classifier.input.mean == pytest.approx((0.485, 0.456, 0.406))
    kept = dict(classifier.module.named_parameters())["network.features.28.weight"]
    torch.testing.assert_close(kept, given["features.28.weight"])
    assert stored == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}


@pytest.mark.parametrize("kind", ["flow", "interval"])
def test_robust_training_runs_for_every_kind(collection: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "net.safetensors"

    run("convlstm", collection, "--output", file, *SMALL, "--config", '{"channels": 2, "hidden": 2}', "--epochs", 2,
        "--robust", kind, "--radius", "0.1", cache=tmp_path / "cache")  # fmt: skip

    assert load_classifier(file).architecture == "convlstm"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["no_such", "{videos}"], "there is no architecture 'no_such'; choose one of c3d, camera_motion"),
        (["cnn_lstm", "{empty}/nowhere"], "there is no folder .*nowhere; name one that holds a folder of videos"),
        (["cnn_lstm", "{empty}"], "holds no class with videos"),
        (["cnn_lstm", "{single}"], "holds only the class Red with videos; .* at least two classes"),
        (
            ["cnn_lstm", "{ungrouped}"],
            "the class Red has 1 group of videos that can be read; training needs at least two",
        ),
        (["cnn_lstm", "{broken}"], "no video of the class Red can be read; the first: Red/a.avi: a.avi is empty"),
        (
            ["cnn_lstm", "{videos}", "--frames", "99"],
            "no video of the class Blue can be read; .* has 8 frames .* needs 99",
        ),
        (["cnn_lstm", "{videos}", "--size", "4x16"], "frames are 8 to 1024 pixels high and wide, not 4x16"),
        (["cnn_lstm", "{videos}", "--size", "large"], "write the size as HEIGHTxWIDTH"),
        (["vgg16_lstm", "{videos}"], "too small for the architecture vgg16_lstm"),
        (["cnn_lstm", "{videos}", "--config", "[1]"], "--config must be a JSON object of parameters"),
        (["cnn_lstm", "{videos}", "--config", '{"depth": 1}'], "has no parameter 'depth'"),
        (["cnn_lstm", "{videos}", "--epochs", "0"], "the recipe's epochs must be from 1 to"),
        (["cnn_lstm", "{videos}", "--train-list", "x"], "one for testing, or neither"),
        (["cnn_lstm", "{videos}", "--vgg16", "{videos}"], "are for the architecture vgg16_lstm, not for cnn_lstm"),
        (["cnn_lstm", "{videos}", "--radius", "1"], "--radius belongs to robust training"),
        (["cnn_lstm", "{videos}", "--robust", "linear", "--radius", "1"], "made for the architecture camera_motion"),
        (["cnn_lstm", "{videos}", "--robust", "flow"], "robust training needs --radius"),
        (["cnn_lstm", "{videos}", "--robust", "flow", "--radius", "-1"], "a radius above zero pixels, not -1"),
        (["cnn_lstm", "{videos}", "--class-list", "{videos}/no.txt"], "no.txt cannot be read as a text file"),
    ],
)
def test_refusals_are_one_sentence_and_leave_nothing(
    arguments: list[str], expected: str, collection: Path, tmp_path: Path
) -> None:
    places = {name: tmp_path / name for name in ("empty", "single", "ungrouped", "broken")} | {"videos": collection}
    (tmp_path / "empty").mkdir()
    write_clip(tmp_path / "single" / "Red" / "a.avi", "Red")
    for label, count in (("Red", 1), ("Blue", 2)):
        for number in range(count):
            write_clip(tmp_path / "ungrouped" / label / f"{number}.avi", label)
        for number in range(2):
            write_clip(tmp_path / "broken" / label / f"{'ab'[number]}.avi", label)
    for path in (tmp_path / "broken" / "Red").iterdir():
        path.write_bytes(b"")
    output = tmp_path / "net.safetensors"

    with pytest.raises(CommandError, match=expected) as refused:
        run(*(word.format(**places) if word[0] == "{" and "}" in word and '"' not in word else word for word in arguments),
            "--output", output, *(SMALL if "--size" not in arguments and "--frames" not in arguments else []),
            cache=tmp_path / "cache")  # fmt: skip

    assert refused.value.returncode == 2
    assert "\n" not in str(refused.value)
    assert not output.exists()


@pytest.mark.parametrize(
    ("output", "expected"),
    [("{tmp}/none/net.safetensors", "its folder does not exist"), ("{tmp}/net.pt", "must be a file that ends in")],
)
def test_outputs_that_cannot_be_written(output: str, expected: str, collection: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=expected):
        run("cnn_lstm", collection, "--output", output.format(tmp=tmp_path), cache=tmp_path / "cache")
    assert not list(tmp_path.iterdir())
