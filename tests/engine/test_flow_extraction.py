"""Extracted flow: direction, size and order of the components, and sensitivity to fine changes."""

import pytest
import torch
from torch import Tensor

from verification.engine import SpecificationError
from verification.engine.flow import EXTRACTORS, build_extractor
from verification.engine.flow.realisation import realisation_error
from verification.engine.perturbation import impose


@pytest.fixture
def frames() -> Tensor:
    """(3, 3, 64, 80): smooth noise that moves 2 pixels right and 1 pixel down a frame."""
    noise = torch.rand((1, 3, 80, 100), generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise, 7, stride=1, padding=3)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return torch.cat([smooth[:, :, 8 - t : 72 - t, 8 - 2 * t : 88 - 2 * t] for t in range(3)])


@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_motion_is_found_in_pixels_with_x_first(name: str, frames: Tensor) -> None:
    flow = build_extractor(name).extract(frames)

    assert flow.shape == (2, 2, 64, 80) and flow.dtype == torch.float32
    inner = flow[:, :, 16:-16, 16:-16]
    torch.testing.assert_close(inner[:, 0].median(), torch.tensor(2.0), atol=0.1, rtol=0)
    torch.testing.assert_close(inner[:, 1].median(), torch.tensor(1.0), atol=0.1, rtol=0)


@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_a_twentieth_of_a_pixel_is_seen(name: str, frames: Tensor) -> None:
    delta = torch.zeros((2, 2, 64, 80))
    delta[0, 0] = 0.05
    extractor = build_extractor(name)

    change = extractor.extract(impose(frames, delta)) - extractor.extract(frames)

    torch.testing.assert_close(change[0, 0, 16:-16, 16:-16].median(), torch.tensor(0.05), atol=0.02, rtol=0)


def test_an_imposed_shift_is_realised(frames: Tensor) -> None:
    delta = torch.zeros((2, 2, 64, 80))
    delta[:, 1] = 0.5
    extractor = build_extractor("farneback")
    flow = extractor.extract(frames)

    rms, median = realisation_error(flow, delta, extractor.extract(impose(frames, delta)))

    assert median < 0.3
    assert rms < 1


def test_a_flow_that_stays_as_it_was_realises_nothing(frames: Tensor) -> None:
    flow = build_extractor("farneback").extract(frames)

    assert realisation_error(flow, torch.ones_like(flow), flow) == pytest.approx((1.0, 1.0))
    assert realisation_error(flow, torch.zeros_like(flow), flow) == (0.0, 0.0)


def test_unknown_extractor() -> None:
    with pytest.raises(SpecificationError, match="no flow extractor 'guess'"):
        build_extractor("guess")
