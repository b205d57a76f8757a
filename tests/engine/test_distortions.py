"""Natural distortions: what each family makes of a clip, and what is refused."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.perturbation import DISTORTIONS, Distortion, Norm, Unit, build_space, unit_of

LENGTH, HEIGHT, WIDTH = 4, 12, 16
SAMPLES = (
    "brightness",
    "brightness:frames=1/3-4",
    "contrast",
    "gamma",
    "occlusion",
    "occlusion:size=4.5x5,at=2x3.25,colour=white",
    "occlusion:size=4x5,at=anywhere",
    "occlusion-size:at=3x4,colour=0.25",
    "brightness+contrast",
    "contrast+occlusion:size=3x3",
)


def frames() -> Tensor:
    clip = torch.rand((LENGTH, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0))
    clip[0, 0, 0, :3] = torch.tensor([0.0, 1.0, 0.5])
    return clip


def distortion(text: str) -> Distortion:
    space = build_space(text, LENGTH, HEIGHT, WIDTH)
    assert isinstance(space, Distortion)
    return space


def distorted(text: str, *parameters: float) -> Tensor:
    return distortion(text).perturbed(frames().double(), torch.tensor(parameters, dtype=torch.float64))


@pytest.mark.parametrize("text", SAMPLES)
def test_zero_leaves_the_clip_as_it_is(text: str) -> None:
    zeros = [0.0] * distortion(text).dimensions
    assert torch.allclose(distorted(text, *zeros), frames().double(), rtol=0, atol=1e-15)


@pytest.mark.parametrize("text", SAMPLES)
def test_values_stay_values_and_beyond_the_limits_are_the_limits(text: str) -> None:
    space = distortion(text)
    least, most = space.domain()
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        point = 3 * torch.randn(space.dimensions, generator=generator, dtype=torch.float64)
        clip = space.perturbed(frames().double(), point)
        assert float(clip.min()) >= -1e-12
        assert float(clip.max()) <= 1 + 1e-12
        assert torch.equal(clip, space.perturbed(frames().double(), point.clamp(least, most)))


@pytest.mark.parametrize("text", [text for text in SAMPLES if distortion(text).dimensions == 1])
def test_monotone_families_only_move_away(text: str) -> None:
    space, clip = distortion(text), frames().double()
    assert space.monotone
    for end in space.domain():
        steps = [distorted(text, float(end) * step / 8) - clip for step in range(9)]
        for nearer, farther in pairwise(steps):
            assert bool((farther.abs() >= nearer.abs() - 1e-12).all())
            assert bool((farther * nearer >= -1e-15).all())


def test_brightness_adds_to_the_chosen_frames() -> None:
    clip = frames().double()
    assert torch.allclose(distorted("brightness", 0.2), (clip + 0.2).clamp(0, 1))
    some = distorted("brightness:frames=1/3-4", -0.3)
    assert torch.equal(some[1], clip[1])
    assert torch.allclose(some[[0, 2, 3]], (clip[[0, 2, 3]] - 0.3).clamp(0, 1))


def test_contrast_turns_about_the_middle_grey() -> None:
    clip = frames().double()
    assert torch.allclose(distorted("contrast", 0.5), (0.5 + 1.5 * (clip - 0.5)).clamp(0, 1))
    assert torch.allclose(distorted("contrast", -1.0), torch.full_like(clip, 0.5))


def test_gamma_raises_to_a_power() -> None:
    clip = frames().double()
    for parameter in (-2.0, -0.5, 1.0, 3.0):
        assert torch.allclose(distorted("gamma", parameter), clip ** (2**parameter), rtol=1e-12, atol=1e-15)


def test_occlusion_covers_its_rectangle() -> None:
    clip = frames().double()
    half = distorted("occlusion:size=2x3,at=4x5,colour=white", 0.5)
    inside = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    inside[4:6, 5:8] = True
    assert torch.allclose(half[..., inside], (clip[..., inside] + 1) / 2)
    assert torch.equal(half[..., ~inside], clip[..., ~inside])


def test_a_pixel_counts_by_the_share_that_is_covered() -> None:
    clip = frames().double()
    cover = distorted("occlusion:size=1x1,at=4.5x5.25,colour=black", 1.0)
    assert torch.allclose(cover[..., 4, 5], clip[..., 4, 5] * (1 - 0.5 * 0.75))
    assert torch.allclose(cover[..., 5, 6], clip[..., 5, 6] * (1 - 0.5 * 0.25))


def test_an_occlusion_anywhere_is_one_at_that_place() -> None:
    size = 4, 5
    down, across, opacity = 1.75, -2.5, 0.7
    top, left = (HEIGHT - size[0]) / 2 + down, (WIDTH - size[1]) / 2 + across
    here = distorted(f"occlusion:size=4x5,at={top:g}x{left:g}", opacity)
    assert torch.allclose(distorted("occlusion:size=4x5,at=anywhere", opacity, down, across), here)


def test_where_a_rectangle_lies_costs_nothing() -> None:
    space = distortion("occlusion:size=4x5,at=anywhere")
    point = torch.tensor([0.25, 3.0, -2.0], dtype=torch.float64)
    assert [float(space.norm(point, norm)) for norm in Norm] == [0.25] * 3


def test_a_square_grows_around_the_middle_of_a_pixel() -> None:
    clip = frames().double()
    grown = distorted("occlusion-size:at=3x4,colour=0.25", 2.0)
    assert torch.allclose(grown[..., 3, 4], torch.full((LENGTH, 3), 0.25, dtype=torch.float64))
    assert torch.allclose(grown[..., 2, 4], (clip[..., 2, 4] + 0.25) / 2)
    assert torch.allclose(grown[..., 2, 3], clip[..., 2, 3] * 0.75 + 0.25 * 0.25)
    assert torch.equal(grown[..., 5, 4], clip[..., 5, 4])
    whole = 2.0 * max(HEIGHT, WIDTH)
    assert torch.allclose(distorted("occlusion-size:at=3x4", whole), torch.zeros_like(clip))


def test_changes_of_a_sum_add_up() -> None:
    clip = frames().double()
    both = distorted("brightness+contrast", 0.1, 0.4)
    assert torch.allclose(both, (clip + 0.1 + 0.4 * (clip - 0.5)).clamp(0, 1))
    point = torch.tensor([0.3, -0.4], dtype=torch.float64)
    assert float(distortion("brightness+contrast").norm(point, Norm.L2)) == pytest.approx(0.5)
    assert distortion("brightness+brightness:frames=1").names == ("brightness", "brightness 2")


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("brightness:frames=1", Unit.VALUE),
        ("contrast", Unit.SHARE),
        ("gamma", Unit.LOGARITHM),
        ("occlusion", Unit.SHARE),
        ("occlusion-size", Unit.SIDE),
        ("brightness+contrast", Unit.SHARE),
        ("dense", Unit.FLOW),
    ],
)
def test_each_family_has_its_unit(text: str, unit: Unit) -> None:
    assert unit_of(text) is unit


def test_every_family_is_listed_with_a_sentence() -> None:
    for name, kind in DISTORTIONS.items():
        assert kind.name == name
        assert kind.summary.endswith(".")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("brightness:frames=9", "from 1 to 4"),
        ("brightness:frames=3-2", "from 1 to 4"),
        ("brightness:frame=1", "brightness:frames=3/5-8"),
        ("brightness:frames=1,frames=2", "said twice"),
        ("contrast:by=2", "without more"),
        ("gamma+contrast", "linear in their parameters"),
        ("occlusion:at=anywhere+contrast", "linear in their parameters"),
        ("occlusion:size=0x3", "above 0x0 to 12x16"),
        ("occlusion:size=13x3", "above 0x0 to 12x16"),
        ("occlusion:size=wide", "such as 8x8"),
        ("occlusion:size=4x4,at=9x1", "does not lie within"),
        ("occlusion:colour=red", "black, grey, white"),
        ("occlusion:colour=1.5", "black, grey, white"),
        ("occlusion-size:at=12x1", "within frames of 12x16"),
        ("brightness+fog", "there is no space"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(SpecificationError, match=says):
        build_space(text, LENGTH, HEIGHT, WIDTH)


def test_no_flows_can_be_chosen() -> None:
    with pytest.raises(SpecificationError, match="leave the choice of flows at all"):
        build_space("brightness", LENGTH, HEIGHT, WIDTH, (1,))


def test_grey_levels_of_what_is_proven() -> None:
    clip = torch.full((2, 3, 4, 4), 0.5)
    space = build_space("brightness", 2, 4, 4)
    assert isinstance(space, Distortion)
    found = space.proven_change(clip, 0.1)
    assert found is not None
    assert found == pytest.approx(0.1 * math.sqrt(2 * 3 * 4 * 4), rel=1e-6)
    assert found < 0.1 * math.sqrt(2 * 3 * 4 * 4)


def test_a_sense_that_is_proven_to_its_end_does_not_count() -> None:
    clip = torch.full((2, 3, 4, 4), 0.5)
    space = build_space("contrast", 2, 4, 4)
    shaded = torch.cat([clip, torch.full_like(clip, 0.6)])
    assert isinstance(space, Distortion)
    wide = build_space("contrast", 4, 4, 4)
    assert isinstance(wide, Distortion)
    # Below, all ends in grey at -1; above, the radius 2 is reached at 0.6 + 2 * 0.1.
    assert wide.proven_change(shaded, 2.0) == pytest.approx(0.2 * math.sqrt(2 * 3 * 4 * 4), rel=1e-6)
    assert space.proven_change(clip, 2.0) == 0.0
    assert distortion("brightness+contrast").proven_change(frames(), 0.1) is None
