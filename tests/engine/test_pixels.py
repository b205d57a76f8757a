"""The space of pixels: perturbed values are clipped, distances are those of what clipping leaves, and flows have no say."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.engine.questions import Recording, make_classifier, make_frames, make_specification
from verification.engine import Budget, Clip, Norm, Specification, SpecificationError, Status, verify
from verification.engine.artifacts import Kind, adversarial_files, original_files
from verification.engine.bounds.pixels import PixelBall
from verification.engine.relaxation import Form, Rounding

RIGOROUS = Rounding(rigorous=True)


def in_pixels(texture: int = 1, rounds: int = 16, **fields: object) -> Specification:
    return make_specification(texture, space="pixels", budget=Budget(600, rounds=rounds), **fields)


def glaring(norm: Norm) -> Specification:
    """A question about a clip of which most values are 0 or 1: there changes are clipped."""
    frames = ((make_frames(1) - 0.5) * 8 + 0.5).clamp(0, 1)
    asked = in_pixels(norm=norm)
    network = asked.classifier.module
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    head.bias.data += torch.tensor([0.0, 0.02, -0.02]) - network(frames.unsqueeze(0))[0]
    return replace(asked, clip=Clip(frames, "glaring.avi", "1" * 64))


@pytest.mark.parametrize("norm", list(Norm))
def test_both_bounds_are_found_and_near_each_other(norm: Norm) -> None:
    result = verify(in_pixels(norm=norm, rounds=24))

    assert result.upper is not None and 0 < result.lower <= result.upper <= 4 * result.lower


@pytest.mark.parametrize("norm", list(Norm))
def test_the_distance_is_that_of_the_clipped_change(norm: Norm) -> None:
    question = glaring(norm=norm)

    result = verify(question)

    example = result.adversarial
    assert example is not None and 0 < result.lower <= example.distances[norm] == result.upper
    assert float(example.clip.min()) >= 0 and float(example.clip.max()) <= 1
    change = example.clip.double() - question.clip.frames.double()
    assert torch.allclose(example.delta, change, atol=1e-7)
    assert example.distances[norm] == pytest.approx(float(norm.of(change)), rel=1e-4)
    assert len(example.shares) == question.clip.length and sum(example.shares) == pytest.approx(1)
    assert example.realisation is None


def box_minimum(weights: Tensor, clip: Tensor, radius: float) -> float:
    """Of `weights . v'` over the values in [0, 1] within `radius` of each value of `clip`."""
    worst = torch.where(weights > 0, (clip - radius).clamp(min=0), (clip + radius).clamp(max=1))
    return float((weights * worst).sum())


def test_the_clipped_box_is_exact_in_l_infinity_and_no_ball_is_larger() -> None:
    generator = torch.Generator().manual_seed(0)
    clip = torch.rand((1, 2, 3, 4, 5), generator=generator, dtype=torch.float64).mul(1.4).sub(0.2).clamp(0, 1)
    weights = torch.randn((1, 1, *clip.shape), generator=generator, dtype=torch.float64)
    form = Form(weights, torch.zeros((1, 5), dtype=torch.int64), tuple(clip.shape))

    for radius in (0.01, 0.3, 2.0):
        exact = box_minimum(weights[0, 0], clip, radius)
        bounds = {norm: float(PixelBall(clip, radius, norm, RIGOROUS).minimum(form)) for norm in Norm}
        assert exact - 1e-9 <= bounds[Norm.LINF] <= exact
        assert bounds[Norm.L1] >= bounds[Norm.L2] >= bounds[Norm.LINF] - 1e-12
        box = PixelBall(clip, radius, Norm.L1, RIGOROUS).interval()
        assert float(box.lower.min()) >= 0 and float(box.upper.max()) <= 1


def test_a_class_that_no_clip_changes_is_certified_however_far() -> None:
    question = in_pixels(norm=Norm.LINF, rounds=10)
    head = [module for module in question.classifier.module.modules() if isinstance(module, nn.Linear)][-1]
    head.bias.data[1] += 1000

    asked, free = verify(replace(question, radius=7.5)), verify(question)

    assert (asked.status, asked.lower) == (Status.CERTIFIED, 7.5)
    assert free.upper is None
    assert 0.5 < free.lower < 1.001, "no value can change by more than 1"


def test_flows_cannot_be_chosen() -> None:
    with pytest.raises(SpecificationError, match="'pixels' changes the frames themselves and no flow"):
        in_pixels(flows=(1, 2))


def test_values_outside_of_the_range_are_refused() -> None:
    for wrong in (-0.1, 1.1, float("nan")):
        frames = make_frames(1)
        frames[0, 0, 0, 0] = wrong
        with pytest.raises(SpecificationError, match="between 0 and 1"):
            Specification(Clip(frames, "wrong.avi", "2" * 64), make_classifier(1))


def test_what_is_said_is_in_pixel_values() -> None:
    observer = Recording()

    verify(in_pixels(norm=Norm.LINF), observer)

    first = {text.split(":")[0]: text for text in observer.events}
    assert "grey levels) away" in first["First adversarial example"]
    assert "no change of the pixels up to" in first["First proof"]
    assert not any("px" in text or "flow" in text for text in observer.events)
    with pytest.raises(SpecificationError, match="pixel values from 0 to 1"):
        in_pixels(radius=-1.0)


def test_a_run_goes_on_from_its_checkpoint() -> None:
    observer = Recording()
    before = verify(in_pixels(rounds=8), observer)

    after = verify(in_pixels(rounds=16), None, observer.checkpoints[-1])

    assert after.history[: len(before.history)] == before.history
    assert before.upper is not None and after.upper is not None
    assert before.lower <= after.lower <= after.upper <= before.upper
    assert after.adversarial is not None and after.adversarial.distances[Norm.L2] == after.upper


def test_the_pictures_show_frames_and_their_change_but_no_flow() -> None:
    question = in_pixels()
    example = verify(question).adversarial
    assert example is not None and question.extract_flow() is None

    files = [*original_files(question.clip.frames, None), *adversarial_files(question.clip.frames, None, example)]

    count = question.clip.length
    kinds = [file.kind for file in files]
    for kind in (Kind.FRAME, Kind.PERTURBED_FRAME, Kind.FRAME_DIFFERENCE):
        assert kinds.count(kind) == count
    whole = {file.kind for file in files if file.flow is None}
    assert whole == {Kind.ADVERSARIAL_CLIP, Kind.LOSSLESS_CLIP, Kind.COMPARISON, Kind.COMPARISON_STILL}
    assert len(files) == 3 * count + 4
