"""Every file that is no working classifier is refused with one line that says what is wrong."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from verification.engine import errors
from verification.engine.network import ARCHITECTURES, load_classifier

METADATA = {
    "architecture": "cnn_lstm",
    "config": json.dumps({"channels": [4], "features": 6, "hidden": 5, "stride": 4}),
    "labels": json.dumps(["stands", "walks", "runs"]),
    "frames": "4",
    "height": "16",
    "width": "16",
}


@pytest.fixture
def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    config = json.loads(METADATA["config"])
    network = ARCHITECTURES["cnn_lstm"].build(config, frames=4, height=16, width=16, classes=3)
    return dict(network.state_dict())


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Save weights with changed metadata (None: without), load them with options, return the message of refusal."""

    def refusal(weights: dict[str, Tensor], changed: dict[str, str | None] | None = None, **options: object) -> str:
        metadata = {key: value for key, value in {**METADATA, **(changed or {})}.items() if value is not None}
        path = tmp_path / "gait.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path, metadata)
        with pytest.raises(errors.ClassifierError) as caught:
            load_classifier(path, **options)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refusal


Refused = Callable[..., str]
Weights = dict[str, Tensor]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(errors.ClassifierError, match=r"there is no file gait\.safetensors"):
        load_classifier(tmp_path / "gait.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x10", b"hello, this is text and nothing else", bytes(1000)])
def test_not_safetensors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gait.safetensors"
    path.write_bytes(content)

    with pytest.raises(errors.ClassifierError, match="is not a safetensors file, or it is truncated"):
        load_classifier(path)


def test_truncated_file(tmp_path: Path, weights: Weights) -> None:
    path = tmp_path / "gait.safetensors"
    save_file(weights, path, METADATA)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(errors.ClassifierError, match="is not a safetensors file, or it is truncated"):
        load_classifier(path)


class Bomb:
    """Unpickling it creates a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    plain, archive, crater = tmp_path / "plain.pt", tmp_path / "archive.pt", tmp_path / "crater"
    plain.write_bytes(pickle.dumps(Bomb(crater), protocol=4))
    torch.save(Bomb(crater), archive)

    for path in (plain, archive):
        with pytest.raises(errors.ClassifierError, match="is a pickle, which could run code"):
            load_classifier(path)
    assert not crater.exists()


def test_no_weights(refused: Refused) -> None:
    assert "holds no weights" in refused({})


def test_unknown_architecture_lists_the_known_ones(refused: Refused, weights: Weights) -> None:
    message = refused(weights, {"architecture": "resnet"})

    assert "'resnet'" in message
    assert "c3d, camera_motion, cnn_gru, cnn_lstm" in message


def test_no_architecture(refused: Refused, weights: Weights) -> None:
    assert "does not say its architecture" in refused(weights, {"architecture": None})


def test_missing_weight(refused: Refused, weights: Weights) -> None:
    del weights["features.weight"]

    assert "lacks the weight features.weight" in refused(weights)


def test_unexpected_weight(refused: Refused, weights: Weights) -> None:
    weights["attention.weight"] = torch.zeros(1)

    assert "holds the weight attention.weight, which the architecture cnn_lstm does not have" in refused(weights)


def test_wrong_shape_names_the_weight_and_both_shapes(refused: Refused, weights: Weights) -> None:
    weights["features.weight"] = torch.zeros(6, 60)

    message = refused(weights)

    assert "features.weight has shape [6, 60]" in message
    assert "needs [6, 64]" in message


def test_a_clip_size_that_does_not_fit_the_weights(refused: Refused, weights: Weights) -> None:
    assert "features.weight has shape [6, 64]" in refused(weights, size=(32, 32))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(refused: Refused, weights: Weights, value: float) -> None:
    weights["frame.0.weight"][0, 0, 0, 0] = value

    assert "values of the weight frame.0.weight are NaN or infinite" in refused(weights)


def test_whole_number_weights(refused: Refused, weights: Weights) -> None:
    weights["head.bias"] = torch.zeros(3, dtype=torch.int64)

    assert "the weight head.bias holds values of type int64" in refused(weights)


def test_too_few_labels(refused: Refused, weights: Weights) -> None:
    message = refused(weights, {"labels": json.dumps(["stands", "walks"])})

    assert "there are 2 labels, but the classifier has 3 outputs" in message


def test_too_many_labels_given(refused: Refused, weights: Weights) -> None:
    message = refused(weights, labels=["a", "b", "c", "d"])

    assert "there are 4 labels, but the classifier has 3 outputs" in message


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (None, "does not name its classes"),
        ("[", "'labels' is not valid JSON"),
        ('"walks"', "must be a list of texts"),
        ("[1, 2, 3]", "must be a list of texts"),
        ('["only"]', "at least two labels"),
        ('["a", "", "c"]', "label 2 is empty"),
        ('["a", "b", "a"]', "the label 'a' occurs twice"),
    ],
)
def test_bad_labels(refused: Refused, weights: Weights, labels: str | None, expected: str) -> None:
    assert expected in refused(weights, {"labels": labels})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"frames": None}, "does not say how many frames"),
        ({"frames": "many"}, "'frames' must be a whole number, not 'many'"),
        ({"frames": "1"}, "2 to 512 frames, not 1"),
        ({"frames": "513"}, "2 to 512 frames, not 513"),
        ({"height": None}, "does not say the size of its frames"),
        ({"height": "7"}, "8 to 1024 pixels high and wide, not 7x16"),
        ({"width": "100000"}, "8 to 1024 pixels high and wide, not 16x100000"),
        ({"channels": "yuv"}, "no channel order 'yuv'"),
        ({"sampling": "random"}, "no sampling 'random'"),
        ({"config": "[1]"}, "'config' must be a JSON object"),
        ({"config": "{"}, "'config' is not valid JSON"),
        ({"config": '{"depth": 3}'}, "no parameter 'depth'"),
        ({"mean": "[0.5]"}, "'mean' must be a list of three numbers"),
        ({"mean": "[0.5, NaN, 0.5]"}, "'mean' holds a number that is not finite"),
        ({"std": "[1, 0, 1]"}, "'std' must not hold a zero"),
    ],
)
def test_bad_metadata(refused: Refused, weights: Weights, changed: dict[str, str | None], expected: str) -> None:
    assert expected in refused(weights, changed)


def test_an_absurd_architecture_is_refused_without_being_built(refused: Refused, weights: Weights) -> None:
    config = json.dumps({"channels": [1024] * 8, "stride": 1, "kernel": 63, "hidden": 4096, "layers": 4})

    assert "lacks the weight" in refused(weights, {"config": config})


def test_an_output_that_does_not_depend_on_the_input(refused: Refused, weights: Weights) -> None:
    weights["features.weight"] = torch.zeros_like(weights["features.weight"])

    assert "does not depend on its input" in refused(weights)


def test_logits_that_overflow(refused: Refused, weights: Weights) -> None:
    weights["features.weight"] = torch.full_like(weights["features.weight"], 3e38)

    assert "gives values that are not finite numbers" in refused(weights)
