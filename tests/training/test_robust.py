"""Robust losses: boxes hold what is in them, changed clips are the engine's, and the estimate of the radius can be raised."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from verification.engine.errors import TrainingError
from verification.engine.network import ARCHITECTURES
from verification.engine.perturbation import build_space
from verification.training.robust import ROBUST
from verification.training.robust.box import Box, margins, propagated
from verification.training.robust.interval import pixel_box
from verification.training.robust.linear import least_margins
from verification.training.robust.loss import imposed

SMALL: dict[str, dict[str, object]] = {
    "c3d": {"channels": [3, 4], "convolutions": [1, 2], "hidden": [6]},
    "camera_motion": {"channels": 3, "kernel": 5, "kernel_frames": 2, "features": 4, "hidden": 4},
    "cnn_gru": {"channels": [4], "features": 6, "hidden": 5, "stride": 4, "layers": 2},
    "cnn_lstm": {"channels": [4], "features": 6, "hidden": 5, "stride": 4, "layers": 2},
    "convlstm": {"channels": 3, "hidden": 2, "stride": 8},
    "lrcn": {"channels": [4, 6], "pools": [4, 2], "hidden": 5},
    "vgg16_lstm": {"hidden": 4},
}
SHAPE = (2, 4, 3, 32, 40)
LABELS = torch.tensor([0, 2])


def network(name: str) -> nn.Module:
    torch.manual_seed(3)
    return ARCHITECTURES[name].build(SMALL[name], frames=4, height=32, width=40, classes=3)


def clips() -> Tensor:
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", SMALL)
def test_boxes_hold_the_logits_of_all_their_clips(name: str) -> None:
    module, centre = network(name), clips()
    logits = propagated(module, Box(centre - 0.05, centre + 0.05))
    least = margins(logits, LABELS)

    with torch.no_grad():
        for seed in range(6):
            signs = torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed)).mul(2).sub(1).sign()
            values = module(centre + 0.05 * signs)
            assert (values >= logits.lower - 1e-5).all()
            assert (values <= logits.upper + 1e-5).all()
            assert (values.gather(1, LABELS[:, None]) - values >= least - 1e-5).all()

    least.sum().backward()
    assert all(weight.grad is not None for weight in module.parameters())


def test_the_pixel_box_holds_every_change_of_the_flow() -> None:
    box = pixel_box(clips(), 0.4)

    for seed in range(5):
        signs = torch.rand((2, 3, 2, 32, 40), generator=torch.Generator().manual_seed(seed)).mul(2).sub(1).sign()
        changed = imposed(clips(), 0.4 * signs)
        assert (changed >= box.lower - 1e-5).all()
        assert (changed <= box.upper + 1e-5).all()


def test_batches_are_changed_as_the_engine_changes_single_clips() -> None:
    delta = torch.randn((2, 3, 2, 32, 40), generator=torch.Generator().manual_seed(2))
    space = build_space("dense", 4, 32, 40)

    expected = torch.stack([space.perturbed(clip, one) for clip, one in zip(clips(), delta, strict=True)])

    torch.testing.assert_close(imposed(clips(), delta), expected)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in ("flow", "interval") for name in SMALL] + [("linear", "camera_motion")]
)
def test_every_loss_teaches_every_weight(kind: str, name: str) -> None:
    module = network(name)

    loss = ROBUST[kind](0.1).loss(module, clips(), LABELS, torch.tensor(0.0), progress=1.0)

    loss.backward()
    assert all(weight.grad is not None for weight in module.parameters() if weight.dim() > 1)


def test_the_linear_loss_is_for_one_architecture() -> None:
    with pytest.raises(TrainingError, match="'linear' is made for the architecture camera_motion; choose another loss"):
        ROBUST["linear"](1.0).loss(network("cnn_lstm"), clips(), LABELS, torch.tensor(0.0), progress=1.0)


def test_the_estimated_margins_start_at_the_true_ones_and_fall() -> None:
    module = network("camera_motion")
    with torch.no_grad():
        logits = module(clips())
        rows = [least_margins(module, clips(), LABELS, radius) for radius in (1e-6, 0.5, 1.0, 2.0)]

    torch.testing.assert_close(rows[0], logits.gather(1, LABELS[:, None]) - logits, rtol=1e-4, atol=1e-4)
    others = torch.ones(2, 3, dtype=torch.bool).scatter(1, LABELS[:, None], False)
    assert all((later < earlier)[others].all() for earlier, later in pairwise(rows))


def test_the_radius_grows_over_the_ramp() -> None:
    robust = ROBUST["flow"](2.0, ramp=0.5)

    assert [robust.radius_at(progress) for progress in (0.0, 0.25, 0.5, 1.0)] == [0.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"radius": 0.0}, "a radius above zero pixels, not 0"),
        ({"radius": float("nan")}, "a radius above zero"),
        ({"radius": 1.0, "share": 1.5}, "the share of robust training must be above 0 and at most 1, not 1.5"),
        ({"radius": 1.0, "ramp": 0.0}, "the ramp of robust training must be above 0"),
    ],
)
def test_senseless_losses(options: dict[str, float], expected: str) -> None:
    with pytest.raises(TrainingError, match=expected):
        ROBUST["flow"](**options)


def test_operations_without_a_rule_are_named() -> None:
    with pytest.raises(TrainingError, match="interval training has no rule for 'softmax'"):
        propagated(nn.Softmax(1), Box(torch.zeros(1, 3), torch.ones(1, 3)))
