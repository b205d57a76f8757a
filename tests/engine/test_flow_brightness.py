"""Brightness hardly changes the extracted flow: the paper's Figure 8(a), with numbers, and where it does not hold.

All extractors discard what brightens all frames alike. What brightens a single frame is a different matter: the paper's
observation (section 6.3) is about Farneback's flow, which does not use the constants of its polynomials; DIS subtracts the mean
of each patch. Horn-Schunck and Lucas-Kanade take constant brightness for granted and explain the change as motion.
"""

import pytest
import torch
from torch import Tensor

from tests.assets import ucf_clip
from tests.engine.test_flow_known_motion import clip_of, rotation, shift
from verification.engine import read_clip
from verification.engine.clip import Part
from verification.engine.flow import EXTRACTORS, build_extractor

LEVEL = 1 / 255  # a grey level of 8 bits


@pytest.fixture(scope="module")
def frames() -> Tensor:
    """A rotation by 2 degrees with a shift of 2 pixels, mean flow 2.2 pixels; grey values with room above them."""
    return clip_of(rotation(2) + shift(1.6, -1.2)) * 0.7


def changes(name: str, before: Tensor, after: Tensor) -> Tensor:
    """(l-1, h, w): by how much the flow differs, pixels."""
    extractor = build_extractor(name)
    return torch.linalg.vector_norm(extractor.extract(after) - extractor.extract(before), dim=1)


@pytest.mark.parametrize("levels", [1, 25, 70])
@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_a_clip_that_is_brighter_throughout_has_the_same_flow(name: str, levels: int, frames: Tensor) -> None:
    brighter = frames + levels * LEVEL
    assert float(brighter.max()) <= 1

    assert float(changes(name, frames, brighter).max()) < 0.01


@pytest.mark.parametrize(
    ("name", "most"), [("farneback", 1e-3), ("horn-schunck", 1e-3), ("lucas-kanade", 0.01), ("dis", 0.035)]
)
def test_fractions_of_a_grey_level_only_change_how_values_round(name: str, most: float, frames: Tensor) -> None:
    """Lucas-Kanade and DIS see whole grey levels, the others all of it."""
    assert float(changes(name, frames, frames + 10.3 * LEVEL).mean()) < most


@pytest.mark.parametrize(("name", "most"), [("farneback", 1e-3), ("dis", 0.065)])
def test_a_single_brighter_frame_has_the_same_flow(name: str, most: float, frames: Tensor) -> None:
    brighter = frames + torch.tensor([0.0, 25 * LEVEL]).view(2, 1, 1, 1)

    assert float(changes(name, frames, brighter).mean()) < most


@pytest.mark.parametrize(("name", "least"), [("horn-schunck", 0.5), ("lucas-kanade", 0.3)])
def test_a_single_brighter_frame_looks_like_motion_to_others(name: str, least: float, frames: Tensor) -> None:
    """Ten grey levels already: the size of the flow itself is 2.2 pixels."""
    brighter = frames + torch.tensor([0.0, 10 * LEVEL]).view(2, 1, 1, 1)

    assert float(changes(name, frames, brighter).mean()) > least


@pytest.fixture(scope="module")
def hammer_throw() -> Tensor:
    """Six frames in a row of a clip of the class that the paper shows, 128x128."""
    clip = ucf_clip("v_HammerThrow_g10_c03")
    return read_clip(clip, frames=6, size=(128, 128), sampling="fps:25", part=Part(50, 60)).frames


@pytest.mark.parametrize(("levels", "share"), [(25, 0.02), (60, 0.06)])
@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_hammer_throw_brightened(name: str, levels: int, share: float, hammer_throw: Tensor) -> None:
    """The flow changes by a small share of its own size, although at 60 grey levels the brightest parts saturate."""
    size = torch.linalg.vector_norm(build_extractor(name).extract(hammer_throw), dim=1).mean()

    change = changes(name, hammer_throw, (hammer_throw + levels * LEVEL).clamp(0, 1))

    assert float(change.mean()) < share * float(size)


def test_one_frame_of_hammer_throw_brightened(hammer_throw: Tensor) -> None:
    """On the frame level, as in Figure 8(a)."""
    brighter = hammer_throw.clone()
    brighter[2] = (brighter[2] + 25 * LEVEL).clamp(0, 1)
    size = torch.linalg.vector_norm(build_extractor("farneback").extract(hammer_throw), dim=1).mean()

    assert float(changes("farneback", hammer_throw, brighter).mean()) < 0.001 * float(size)
