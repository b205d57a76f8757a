"""Every extractor against motions that are known at each pixel: how far its flow may be from the true one."""

import math
from collections.abc import Callable, Iterator

import cv2
import pytest
import torch
from torch import Tensor

from verification.engine import SpecificationError
from verification.engine.flow import EXTRACTORS, build_extractor

SIDE = 96
MARGIN = 16  # pixels: near the edge content leaves the picture, and windows do too


def places() -> Tensor:
    """(h, w, 2) float64: x and y of each pixel from the middle."""
    middle = (SIDE - 1) / 2
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return torch.stack([columns, rows], dim=-1).double() - middle


def texture(at: Tensor) -> Tensor:
    """Grey values in [0, 1] at `at` (h, w, 2): waves of 6 to 40 pixels in all directions, known without interpolation."""
    generator = torch.Generator().manual_seed(3)
    length, angle, phase = torch.rand((3, 50, 1, 1), generator=generator, dtype=torch.float64)
    wave = 2 * math.pi / (6 + 34 * length)
    direction = 2 * math.pi * angle
    waves = (wave * (at[..., 0] * direction.cos() + at[..., 1] * direction.sin()) + 2 * math.pi * phase).cos()
    return (0.5 + waves.sum(0) / 40).clamp(0, 1)


def clip_of(flow: Tensor) -> Tensor:
    """(2, 3, h, w) with exactly this flow (h, w, 2): the second frame lies still, the first shows what comes to `x + flow(x)`."""
    return torch.stack([texture(at).expand(3, -1, -1) for at in (places() + flow, places())]).float()


def shift(x: float, y: float) -> Tensor:
    return torch.tensor([x, y], dtype=torch.float64).expand(SIDE, SIDE, 2)


def linear(matrix: list[list[float]]) -> Tensor:
    return places() @ (torch.tensor(matrix, dtype=torch.float64) - torch.eye(2)).T


def rotation(degrees: float) -> Tensor:
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return linear([[cosine, -sine], [sine, cosine]])


SHIFTS = {"a third of a pixel": shift(0.3, -0.2), "two pixels": shift(-1.6, 1.2), "seven pixels": shift(5.6, -4.2)}
FIELDS = {"a rotation by 3 degrees": rotation(3), "a zoom by 4 per cent": linear([[1.04, 0], [0, 1.04]])}
#: The largest mean end-point error away from the edges, pixels: of shifts, and of motions that differ from place to place.
#: Half as much again as was measured. Averages over windows are what costs Farneback and Lucas-Kanade there.
LIMITS = {
    "farneback": (0.018, 0.18),
    "horn-schunck": (0.012, 0.01),
    "lucas-kanade": (0.013, 0.16),
    "dis": (0.022, 0.075),
}


def error(text: str, flow: Tensor) -> float:
    """Mean end-point error of an extractor, pixels."""
    found = build_extractor(text).extract(clip_of(flow))[0].permute(1, 2, 0).double()
    lengths = torch.linalg.vector_norm(found - flow, dim=-1)
    return float(lengths[MARGIN:-MARGIN, MARGIN:-MARGIN].mean())


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets how many threads OpenCV uses, for one test."""
    before = cv2.getNumThreads()
    yield cv2.setNumThreads
    cv2.setNumThreads(before)


@pytest.mark.parametrize("motion", list(SHIFTS))
@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_a_shift_is_found(name: str, motion: str) -> None:
    assert error(name, SHIFTS[motion]) < LIMITS[name][0]


@pytest.mark.parametrize("motion", list(FIELDS))
@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_rotation_and_zoom_are_found(name: str, motion: str) -> None:
    assert error(name, FIELDS[motion]) < LIMITS[name][1]


@pytest.mark.parametrize(
    ("text", "worse"),
    [
        ("farneback", "farneback:levels=0"),
        ("horn-schunck", "horn-schunck:levels=1"),
        ("lucas-kanade", "lucas-kanade:levels=1,winsize=7"),
    ],
)
def test_large_motions_need_the_pyramid(text: str, worse: str) -> None:
    assert error(worse, SHIFTS["seven pixels"]) > 50 * error(text, SHIFTS["seven pixels"])


@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_a_clip_that_stands_still_has_no_flow(name: str) -> None:
    still = clip_of(shift(0, 0))[:1].expand(3, -1, -1, -1)

    lengths = torch.linalg.vector_norm(build_extractor(name).extract(still), dim=1)

    # Farneback's expansion is cut off at the edges, where it sees a little motion.
    assert float(lengths.mean()) < (0.01 if name == "farneback" else 1e-5)
    assert float(lengths[:, MARGIN:-MARGIN, MARGIN:-MARGIN].max()) < 1e-4


@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_where_nothing_can_be_seen_the_flow_is_finite(name: str) -> None:
    blank = torch.full((2, 3, 40, 52), 0.5)

    assert float(build_extractor(name).extract(blank).abs().max()) < 1e-6


@pytest.mark.parametrize("name", ["horn-schunck", "lucas-kanade"])
def test_a_patch_without_texture_takes_the_flow_around_it(name: str) -> None:
    frames = clip_of(shift(2, 1))
    frames[0, :, 33:63, 33:63] = 0.5
    frames[1, :, 34:64, 35:65] = 0.5

    inside = build_extractor(name).extract(frames)[0, :, 43:53, 43:53].mean((1, 2))

    torch.testing.assert_close(inside, torch.tensor([2.0, 1.0]), atol=0.2, rtol=0)


@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_the_same_frames_give_the_same_flow_whatever_the_threads(name: str, threads: Callable[[int], None]) -> None:
    frames, extractor = clip_of(rotation(3)), build_extractor(name)

    flows = []
    for count in (1, 2, 5):
        threads(count)
        flows.append(extractor.extract(frames))

    assert flows[0].dtype == torch.float32 and flows[0].shape == (1, 2, SIDE, SIDE)
    assert all(torch.equal(flow, flows[0]) for flow in flows)


@pytest.mark.parametrize("size", [(64, 96), (61, 83)])
@pytest.mark.parametrize("name", ["horn-schunck", "lucas-kanade"])
def test_mirrored_and_transposed_clips_have_mirrored_and_transposed_flows(name: str, size: tuple[int, int]) -> None:
    frames = clip_of(rotation(3) + shift(1.6, -1.2))[:, :, : size[0], : size[1]]
    extractor = build_extractor(name)
    flow = extractor.extract(frames)

    mirrored = extractor.extract(frames.flip(3)).flip(3) * torch.tensor([-1.0, 1.0]).view(2, 1, 1)
    transposed = extractor.extract(frames.transpose(2, 3)).transpose(2, 3).flip(1)

    # OpenCV's pyramid begins at the corner, which is another one in a mirrored clip.
    most = 1e-3 if name == "horn-schunck" else 0.05
    assert float((mirrored - flow).abs().mean()) < most
    assert float((transposed - flow).abs().mean()) < most


@pytest.mark.parametrize("name", list(EXTRACTORS))
@pytest.mark.parametrize("size", [(12, 12), (12, 90), (90, 13), (33, 47)])
def test_small_and_narrow_frames(name: str, size: tuple[int, int]) -> None:
    flow = build_extractor(name).extract(clip_of(shift(0.5, 0.5))[:, :, : size[0], : size[1]])

    assert flow.shape == (1, 2, *size)
    assert bool(flow.isfinite().all())


def test_frames_that_are_too_small_are_refused() -> None:
    with pytest.raises(SpecificationError, match="'dis' takes frames of at least 12 pixels a side, not 11x30"):
        build_extractor("dis").extract(torch.zeros((2, 3, 11, 30)))
