"""A classifier file comes back as the network that was saved, with everything that it expects of a clip."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from verification.engine.network import (
    ARCHITECTURES,
    Channels,
    InputSpecification,
    load_classifier,
    save_classifier,
)

CONFIG = {"channels": [4], "features": 6, "hidden": 5, "stride": 4}
INPUT = InputSpecification(frames=4, height=16, width=24)
LABELS = ("stands", "walks", "runs")


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    built = ARCHITECTURES["cnn_lstm"].build(CONFIG, frames=4, height=16, width=24, classes=3)
    return built.eval()


@pytest.fixture
def clips() -> torch.Tensor:
    return torch.rand((1, 4, 3, 16, 24), generator=torch.Generator().manual_seed(1))


def save(path: Path, network: nn.Module, **options: object) -> Path:
    settings: dict[str, object] = {"input": INPUT, "labels": LABELS, **options}
    save_classifier(path, network, architecture="cnn_lstm", config=CONFIG, **settings)  # type: ignore[arg-type]
    return path


def test_a_saved_classifier_needs_no_options(tmp_path: Path, network: nn.Module, clips: torch.Tensor) -> None:
    classifier = load_classifier(save(tmp_path / "gait.safetensors", network))

    assert classifier.name == "gait.safetensors"
    assert len(classifier.sha256) == 64
    assert classifier.architecture == "cnn_lstm"
    assert classifier.labels == LABELS
    assert classifier.input == INPUT
    assert not classifier.module.training
    torch.testing.assert_close(classifier.module(clips), network(clips))


def test_saving_twice_gives_the_same_bytes(tmp_path: Path, network: nn.Module) -> None:
    first, second = save(tmp_path / "a.safetensors", network), save(tmp_path / "b.safetensors", network)

    assert load_classifier(first).sha256 == load_classifier(second).sha256
    assert {path.name for path in tmp_path.iterdir()} == {"a.safetensors", "b.safetensors"}


def test_options_take_the_place_of_what_the_file_says(tmp_path: Path, network: nn.Module) -> None:
    classifier = load_classifier(
        save(tmp_path / "gait.safetensors", network),
        labels=["a", "b", "c"],
        frames=6,
        channels="bgr",
        sampling="floor",
        name="my gait",
    )

    assert classifier.name == "my gait"
    assert classifier.labels == ("a", "b", "c")
    assert classifier.input == InputSpecification(6, 16, 24, Channels.BGR, "floor")
    assert classifier.module(torch.rand(1, 6, 3, 16, 24)).shape == (1, 3)


def test_options_complete_a_file_of_bare_weights(tmp_path: Path, network: nn.Module, clips: torch.Tensor) -> None:
    default = ARCHITECTURES["cnn_lstm"].build({}, frames=4, height=16, width=24, classes=3).eval()
    path = tmp_path / "bare.safetensors"
    save_file(default.state_dict(), path)

    classifier = load_classifier(path, architecture="cnn_lstm", labels=LABELS, frames=4, size=(16, 24))

    torch.testing.assert_close(classifier.module(clips), default(clips))


def test_bgr_is_compiled_into_the_module(tmp_path: Path, network: nn.Module, clips: torch.Tensor) -> None:
    input = InputSpecification(4, 16, 24, Channels.BGR)
    classifier = load_classifier(save(tmp_path / "bgr.safetensors", network, input=input))

    torch.testing.assert_close(classifier.module(clips), network(clips.flip(2)))


def test_mean_and_deviation_are_compiled_into_the_module(
    tmp_path: Path, network: nn.Module, clips: torch.Tensor
) -> None:
    mean, deviation = (0.4, 0.5, 0.6), (0.2, 0.25, 0.5)
    input = InputSpecification(4, 16, 24, mean=mean, deviation=deviation)
    path = save(tmp_path / "normal.safetensors", network, input=input)

    def spread(values: tuple[float, ...]) -> torch.Tensor:
        return torch.tensor(values).view(1, 1, 3, 1, 1)

    expected = network((clips - spread(mean)) / spread(deviation))
    torch.testing.assert_close(load_classifier(path).module(clips), expected)


def test_half_precision_weights_are_widened(tmp_path: Path, network: nn.Module) -> None:
    path = save(tmp_path / "half.safetensors", network.half())

    parameters = list(load_classifier(path).module.parameters())

    assert {parameter.dtype for parameter in parameters} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in parameters)


def test_the_file_holds_exactly_the_weights(tmp_path: Path, network: nn.Module) -> None:
    stored = load_file(save(tmp_path / "gait.safetensors", network))

    assert stored.keys() == network.state_dict().keys()
