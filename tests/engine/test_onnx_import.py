"""Classifiers as ONNX files: what torch exports comes back as the same function with the same bounds, whatever its layout."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn

from tests.assets import lrcn_file, ucf_clip
from tests.engine.onnx_models import classifier_model, exported, floats, make_model
from verification.demo.train import WEIGHTS
from verification.engine import Norm, read_clip
from verification.engine.bounds.ball import ball_around
from verification.engine.bounds.linear import LinearBounds
from verification.engine.clip import Clip
from verification.engine.errors import ClassifierError, UnsupportedOperationError
from verification.engine.network import ARCHITECTURES, InputSpecification, check_clip, export_onnx, load_classifier
from verification.engine.network.classifier import Classifier
from verification.engine.network.export import export_graph
from verification.engine.network.input import arranged
from verification.engine.network.onnx_import import reference
from verification.engine.perturbation import build_space
from verification.engine.relaxation import Rounding

SMALL: dict[str, dict[str, object]] = {
    "lrcn": {"channels": [4, 6], "pools": [4, 2], "hidden": 5},
    "cnn_lstm": {"channels": [4], "features": 6, "hidden": 5, "stride": 4},
    "cnn_gru": {"channels": [4], "features": 6, "hidden": 5, "stride": 4},
    "c3d": {"channels": [2, 3], "convolutions": [1, 1], "kernel": 1, "hidden": [4]},
    "convlstm": {"channels": 2, "hidden": 1, "stride": 16},
    "camera_motion": {"channels": 2, "kernel": 3, "kernel_frames": 2, "features": 4, "hidden": 4},
    "vgg16_lstm": {"hidden": 4},
}
FRAMES, HEIGHT, WIDTH = 4, 32, 40
SHAPE = (1, FRAMES, 3, HEIGHT, WIDTH)
LABELS = ("walks", "runs", "stands")


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    built = ARCHITECTURES[name].build(SMALL[name], frames=FRAMES, height=HEIGHT, width=WIDTH, classes=3)
    return built.eval().requires_grad_(False)


def clip(seed: int = 1) -> torch.Tensor:
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed))


def margins(module: nn.Module, radius: float, effort: int | None = None) -> torch.Tensor:
    """Proven margins of a small ball around a clip."""
    space = build_space("dense", FRAMES, HEIGHT, WIDTH, None)
    region = ball_around(clip()[0], space, Norm.LINF, radius, Rounding(rigorous=True))
    with torch.no_grad():
        return LinearBounds(export_graph(module, SHAPE), region, effort=effort).margins(0)


@pytest.mark.parametrize("version", [11, 13, 17, 20])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_named_architectures_come_back_with_the_same_bounds(name: str, version: int, tmp_path: Path) -> None:
    # Linear bounds of all values of VGG16 would take hours: intervals, and the margins pulled back through them.
    effort, radius = (0, 1e-6) if name == "vgg16_lstm" else (None, 0.01)
    path = tmp_path / "model.onnx"
    path.write_bytes(exported(network(name), SHAPE, version))

    classifier = load_classifier(path, labels=LABELS)

    assert classifier.architecture == "onnx"
    assert classifier.input == InputSpecification(FRAMES, HEIGHT, WIDTH)
    torch.testing.assert_close(classifier.module(clip()), network(name)(clip()), rtol=1e-5, atol=1e-6)
    expected = margins(network(name), radius, effort)
    assert bool(expected.isfinite().all())
    torch.testing.assert_close(margins(classifier.module, radius, effort), expected, rtol=1e-6, atol=1e-9)


def test_every_named_architecture_can_be_exported_and_read(tmp_path: Path) -> None:
    for name in ARCHITECTURES:
        input = InputSpecification(FRAMES, HEIGHT, WIDTH, sampling="floor")
        export_onnx(Classifier(name, "0" * 64, name, LABELS, input, network(name)), tmp_path / f"{name}.onnx")

        classifier = load_classifier(tmp_path / f"{name}.onnx")

        assert (classifier.labels, classifier.input) == (LABELS, input)
        torch.testing.assert_close(classifier.module(clip()), network(name)(clip()), rtol=1e-4, atol=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.onnx" for name in ARCHITECTURES}


def test_the_demo_classifier_as_onnx_has_the_same_bounds(tmp_path: Path) -> None:
    demo = load_classifier(WEIGHTS)
    export_onnx(demo, tmp_path / "demo.onnx")
    clip = torch.rand(demo.input.shape[1:], generator=torch.Generator().manual_seed(0))
    space = build_space("dense", demo.input.frames, demo.input.height, demo.input.width, None)
    region = ball_around(clip, space, Norm.L2, 0.02, Rounding(rigorous=True))

    def bounds(module: nn.Module) -> torch.Tensor:
        with torch.no_grad():
            return LinearBounds(export_graph(module, demo.input.shape), region).margins(0)

    again = load_classifier(tmp_path / "demo.onnx")
    check_clip(again, tmp_path / "demo.onnx", clip)
    torch.testing.assert_close(bounds(again.module), bounds(demo.module), rtol=1e-12, atol=0)


def test_versions_that_cannot_be_written(tmp_path: Path) -> None:
    made = Classifier(
        "net", "0" * 64, "cnn_lstm", LABELS, InputSpecification(FRAMES, HEIGHT, WIDTH), network("cnn_lstm")
    )
    with pytest.raises(ClassifierError, match="version 8 of the ONNX operators cannot be written; choose 9 to 21"):
        export_onnx(made, tmp_path / "net.onnx", version=8)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("order", ["ntchw", "ncthw", "nthwc", "tchw", "cthw", "thwc"])
def test_the_order_of_the_axes_is_read_from_the_shape(order: str, tmp_path: Path) -> None:
    sizes = {"n": 1, "t": 4, "c": 3, "h": 16, "w": 20}
    shape = tuple(sizes[axis] for axis in order)
    axes = [axis for axis in range(len(order)) if order[axis] in "thw"]
    nodes = [
        helper.make_node("Mul", ["x", "weights"], ["weighted"], "weights"),
        helper.make_node("ReduceMean", ["weighted"], ["y"], "means", axes=axes, keepdims=0),
    ]
    path = tmp_path / "model.onnx"
    path.write_bytes(make_model(nodes, shape, {"weights": floats(*shape)}).SerializeToString())

    classifier = load_classifier(path, labels=LABELS)

    assert classifier.input == InputSpecification(4, 16, 20, order=order)  # type: ignore[arg-type]
    given = torch.rand(classifier.input.shape)
    spread = torch.from_numpy(floats(*shape))
    expected = (arranged(given, classifier.input.order) * spread).mean(axes).reshape(1, 3)
    torch.testing.assert_close(classifier.module(given), expected)


def test_range_channels_mean_and_deviation(tmp_path: Path) -> None:
    model = classifier_model()
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    plain = load_classifier(path, labels=LABELS)
    given = torch.rand(plain.input.shape)

    other = load_classifier(
        path, labels=LABELS, channels="bgr", value_range="0..255", mean=(10, 20, 30), deviation=(50, 60, 70)
    )
    scaled = (given.flip(2) * 255 - torch.tensor([10.0, 20, 30]).view(3, 1, 1)) / torch.tensor([50.0, 60, 70]).view(
        3, 1, 1
    )
    torch.testing.assert_close(other.module(given), plain.module(scaled), rtol=1e-4, atol=1e-5)

    signed = load_classifier(path, labels=LABELS, value_range="-1..1")
    torch.testing.assert_close(signed.module(given), plain.module(given * 2 - 1), rtol=1e-4, atol=1e-5)


def test_open_axes_are_asked_for(tmp_path: Path) -> None:
    model = classifier_model(shape=(1, 4, 3, 16, 20))
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", 1, ["batch", "frames", 3, "h", "w"]))
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())

    assert load_classifier(path, labels=LABELS, frames=6, size=(24, 32)).input == InputSpecification(6, 24, 32)


def test_softmax_at_the_end_is_left_out_of_the_graph(tmp_path: Path) -> None:
    model = classifier_model()
    model.graph.node[-1].output[0] = "logits"
    model.graph.node.append(helper.make_node("Softmax", ["logits"], ["y"], "softmax"))
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())

    classifier = load_classifier(path, labels=LABELS)
    graph = export_graph(classifier.module, classifier.input.shape)

    assert graph.dropped == ("softmax in softmax",)


def test_operators_without_bounds_are_named_with_their_place(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Floor", ["x"], ["steps"], "/stem/quantise"),
        helper.make_node("ReduceMean", ["steps"], ["y"], "means", axes=[1, 3, 4], keepdims=0),
    ]
    path = tmp_path / "model.onnx"
    path.write_bytes(make_model(nodes, (1, 4, 3, 16, 20)).SerializeToString())
    with pytest.raises((ClassifierError, UnsupportedOperationError), match=r"floor.*stem_quantise|does not depend"):
        export_graph(load_classifier(path, labels=LABELS).module, (1, 4, 3, 16, 20))


def test_a_model_that_onnxruntime_computes_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(classifier_model().SerializeToString())
    monkeypatch.setattr(reference, "TOLERANCE", -1.0)
    with pytest.raises(ClassifierError, match=r"differs from what onnxruntime computes by .*; at most -1 is allowed"):
        load_classifier(path, labels=LABELS)


def test_metadata_describe_the_input(tmp_path: Path) -> None:
    model = classifier_model()
    told = {"labels": '["a", "b", "c"]', "channels": "bgr", "range": "0..255", "sampling": "floor", "mean": "[1, 2, 3]"}
    onnx.helper.set_model_props(model, told)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())

    found = load_classifier(path).input

    assert (found.channels, found.range, found.sampling, found.mean) == ("bgr", "0..255", "floor", (1.0, 2.0, 3.0))


LOGITS = {
    "v_Diving_g02_c02": (-0.507, 5.858, -1.542, -0.315, -0.067),
    "v_Biking_g01_c04": (4.235, -1.798, -0.707, -3.279, 0.622),
    "v_Punch_g22_c07": (-1.403, 0.426, -2.601, 5.982, -1.424),
    "v_Rowing_g14_c04": (-0.917, -0.570, -2.926, -2.898, 5.801),
}


@pytest.mark.parametrize("name", LOGITS)
def test_a_real_lrcn_gives_the_logits_that_it_is_known_for(name: str) -> None:
    labels = ("Biking", "Diving", "GolfSwing", "Punch", "Rowing")
    classifier = load_classifier(lrcn_file(), labels=labels, channels="bgr", sampling="floor")
    wanted = classifier.input
    frames: Clip = read_clip(
        ucf_clip(name), frames=wanted.frames, size=(wanted.height, wanted.width), sampling=wanted.sampling
    )
    with torch.no_grad():
        logits = classifier.module(frames.frames.unsqueeze(0))[0]
    np.testing.assert_allclose(logits.numpy(), LOGITS[name], atol=1e-3)
