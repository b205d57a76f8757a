"""`.pt2` files: read only with trust, and then with the same bounds as the network they were exported from."""

from pathlib import Path

import pytest
import torch
from torch import nn

from verification.engine.errors import ClassifierError
from verification.engine.network import ARCHITECTURES, load_classifier
from verification.engine.network.export import export_graph

FRAMES, SIDE = 4, 16
LABELS = ["walks", "runs"]


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    config = {"channels": [4], "features": 6, "hidden": 5}
    built = ARCHITECTURES["cnn_lstm"].build(config, frames=FRAMES, height=SIDE, width=SIDE, classes=2)
    return built.eval().requires_grad_(False)


@pytest.fixture
def path(network: nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "actions.pt2"
    torch.export.save(torch.export.export(network, (torch.rand(1, FRAMES, 3, SIDE, SIDE),)), path)
    return path


def test_it_is_the_network_that_was_exported(network: nn.Module, path: Path) -> None:
    classifier = load_classifier(path, labels=LABELS, trust=True)

    clip = torch.rand(classifier.input.shape)
    assert (classifier.architecture, classifier.input.frames, classifier.input.height) == ("pt2", FRAMES, SIDE)
    torch.testing.assert_close(classifier.module(clip), network(clip))
    graph = export_graph(classifier.module, classifier.input.shape)
    torch.testing.assert_close(graph(clip.double()).float(), network(clip), rtol=1e-5, atol=1e-6)


def test_without_trust_it_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.export, "load", lambda *_: pytest.fail("the file was read"))
    with pytest.raises(ClassifierError, match=r"actions\.pt2 .*may run code .*--trust"):
        load_classifier(path, labels=LABELS)


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt2"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(ClassifierError, match=r"a\.pt2 cannot be read as an exported program"):
        load_classifier(path, labels=LABELS, trust=True)


def test_another_size_than_the_exported_one_is_refused(path: Path) -> None:
    with pytest.raises(ClassifierError, match="exported for 4 frames, not 6"):
        load_classifier(path, labels=LABELS, frames=6, trust=True)


def test_weights_that_are_not_finite(network: nn.Module, tmp_path: Path) -> None:
    next(network.parameters()).data.fill_(torch.nan)
    program = torch.export.export(network, (torch.rand(1, FRAMES, 3, SIDE, SIDE),))
    torch.export.save(program, tmp_path / "nan.pt2")
    with pytest.raises(ClassifierError, match="NaN or infinite"):
        load_classifier(tmp_path / "nan.pt2", labels=LABELS, trust=True)
