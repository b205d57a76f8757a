"""Every named architecture maps clips of its size to one vector of logits, and refuses what cannot fit."""

import pytest
import torch

from verification.engine.errors import ClassifierError
from verification.engine.network import ARCHITECTURES

#: What small clips leave room for.
SMALL: dict[str, dict[str, object]] = {"lrcn": {"channels": [4, 6, 8], "pools": [4, 2, 2]}, "vgg16_lstm": {"hidden": 8}}


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("frames", "height", "width", "classes"), [(8, 64, 64, 7), (16, 48, 80, 2), (5, 64, 33, 3)])
def test_logits_for_clips(name: str, frames: int, height: int, width: int, classes: int) -> None:
    config = SMALL.get(name, {})
    network = ARCHITECTURES[name].build(config, frames=frames, height=height, width=width, classes=classes).eval()

    with torch.no_grad():
        logits = network(torch.rand(2, frames, 3, height, width))

    assert logits.shape == (2, classes)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_named_output_has_one_entry_for_each_class(name: str) -> None:
    architecture = ARCHITECTURES[name]
    network = architecture.build({}, frames=8, height=64, width=64, classes=9)

    assert network.state_dict()[architecture.outputs].shape[0] == 9


def test_parameters_change_the_network() -> None:
    config = {"channels": [3, 5, 7], "kernel": 3, "stride": 2, "features": 11, "hidden": 13, "layers": 2}
    network = ARCHITECTURES["cnn_lstm"].build(config, frames=4, height=40, width=40, classes=2)

    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    assert shapes["frame.4.weight"] == (7, 5, 3, 3)
    assert shapes["features.weight"] == (11, 7 * 5 * 5)
    assert shapes["lstm.weight_ih_l1"] == (4 * 13, 13)


def test_c3d_can_be_that_of_the_paper() -> None:
    config = {"channels": [64, 128, 256, 512, 512], "convolutions": [1, 1, 2, 2, 2], "hidden": [4096, 4096]}
    with torch.device("meta"):
        network = ARCHITECTURES["c3d"].build(config, frames=16, height=112, width=112, classes=101)

    shapes = [tuple(tensor.shape) for name, tensor in network.state_dict().items() if name.endswith("weight")]

    assert shapes[:3] == [(64, 3, 3, 3, 3), (128, 64, 3, 3, 3), (256, 128, 3, 3, 3)]
    assert shapes[-3:] == [(4096, 512 * 1 * 3 * 3), (4096, 4096), (101, 4096)]


def test_vgg16_has_the_names_that_its_published_weights_have() -> None:
    network = ARCHITECTURES["vgg16_lstm"].build({"hidden": 6}, frames=2, height=64, width=32, classes=2)

    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    convolutions = [
        int(name.split(".")[1]) for name in shapes if name.startswith("features") and name.endswith("weight")
    ]
    assert convolutions == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    assert shapes["features.10.weight"] == (256, 128, 3, 3)
    assert shapes["lstm.weight_ih_l0"] == (4 * 6, 512 * 2 * 1)


def test_frames_that_vgg16_leaves_nothing_of() -> None:
    with pytest.raises(
        ClassifierError, match=r"31x64 pixels are too small .* halves them 5 times; use frames of 32x32"
    ):
        ARCHITECTURES["vgg16_lstm"].build({}, frames=8, height=31, width=64, classes=7)


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("cnn_lstm", {"depth": 3}, "no parameter 'depth'; it has channels, kernel"),
        (
            "cnn_lstm",
            {"hidden": 0},
            "'hidden' of the architecture cnn_lstm must be a whole number from 1 to 4096, not 0",
        ),
        ("cnn_lstm", {"hidden": "many"}, "not many"),
        ("cnn_lstm", {"hidden": True}, "not True"),
        ("cnn_lstm", {"hidden": 2.5}, "not 2.5"),
        ("cnn_lstm", {"channels": 8}, "'channels' .* must be a list of one to eight whole numbers"),
        ("cnn_lstm", {"channels": []}, "must be a list of one to eight"),
        ("cnn_lstm", {"channels": [8] * 9}, "must be a list of one to eight"),
        ("lrcn", {"pools": [4, 4]}, "one entry in 'pools' for each in 'channels', not 2 for 4"),
        ("lrcn", {"kernel": 4}, "an odd 'kernel', not 4"),
        ("lrcn", {"pools": [4, 4, 4, 4]}, "nothing is left of frames of .* after the pools 4, 4, 4, 4"),
        ("cnn_gru", {"hidden": 0}, "'hidden' of the architecture cnn_gru"),
        ("c3d", {"convolutions": [1]}, "one entry in 'convolutions' for each in 'channels', not 1 for 3"),
        ("c3d", {"kernel": 2}, "an odd 'kernel', not 2"),
        (
            "c3d",
            {"channels": [4] * 5, "convolutions": [1] * 5},
            "nothing is left of 8 frames of 64x64 pixels after the 5 blocks .* use at least 16 frames of 32x32 pixels",
        ),
        ("convlstm", {"hidden_kernel": 4}, "an odd 'hidden_kernel', not 4"),
        ("convlstm", {"pool": 60}, "64x64 pixels are too small for the architecture convlstm"),
        ("camera_motion", {"kernel_frames": 9}, "too small for the architecture camera_motion"),
        ("camera_motion", {"pool": 30}, "too small for the architecture camera_motion"),
        ("camera_motion", {"pool": 0}, "'pool' .* from 1 to 255, not 0"),
    ],
)
def test_senseless_parameters(name: str, config: dict[str, object], expected: str) -> None:
    with pytest.raises(ClassifierError, match=expected):
        ARCHITECTURES[name].build(config, frames=8, height=64, width=64, classes=7)
