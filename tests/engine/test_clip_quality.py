"""PSNR and SSIM against cases that can be computed by hand, and their laws."""

import math

import numpy as np
import pytest
import torch

from verification.engine.clip.quality import psnr, quality, ssim

RNG = np.random.default_rng(3)


def textured(height: int = 24, width: int = 30) -> np.ndarray:
    return RNG.uniform(0.1, 0.8, (3, height, width))


def test_identical_clips_have_no_noise_to_speak_of() -> None:
    clip = torch.from_numpy(np.stack([textured(), textured()]))

    same = quality(clip, clip.clone())

    assert (same.changed, same.psnr, same.psnr_worst, same.ssim, same.ssim_worst) == (0, None, None, 1.0, 1.0)


def test_a_constant_shift_has_the_psnr_of_its_size() -> None:
    frame = textured()

    assert psnr(frame, frame + 0.1) == pytest.approx(20)
    assert psnr(frame, frame - 0.01) == pytest.approx(40)
    assert psnr(frame, frame + 1 / 255) == pytest.approx(20 * math.log10(255))
    assert psnr(frame, frame) == math.inf


def test_two_even_frames_differ_in_light_only() -> None:
    # Without any structure the second factor is C2 / C2 = 1, and the first one is known.
    x, y = np.full((3, 16, 16), 0.5), np.full((3, 16, 16), 0.7)

    assert ssim(x, y) == pytest.approx((2 * 0.5 * 0.7 + 1e-4) / (0.5**2 + 0.7**2 + 1e-4))


def test_a_negative_has_the_opposite_structure() -> None:
    # Around the same mean: the covariance is minus the variance, and only the constants keep it from -1.
    rows, columns = np.mgrid[:40, :40]
    x = 0.5 + 0.4 * np.where((rows + columns) % 2, 1.0, -1.0)[None].repeat(3, 0)

    assert -1 < ssim(x, 1 - x) < -0.98


@pytest.mark.parametrize("size", [(24, 30), (11, 11), (7, 40), (2, 2), (1, 5)])
def test_a_frame_is_like_itself_and_likeness_has_no_direction(size: tuple[int, int]) -> None:
    x, y = textured(*size), textured(*size)

    assert ssim(x, x) == pytest.approx(1)
    assert ssim(x, y) == pytest.approx(ssim(y, x))
    assert ssim(x, y) < 1


def test_only_changed_frames_count_and_the_worst_is_named() -> None:
    original = torch.from_numpy(np.stack([textured() for _ in range(3)]))
    changed = original.clone()
    changed[1] += 0.01
    changed[2] += 0.1

    seen = quality(original, changed)

    assert seen.changed == 2
    assert seen.psnr == pytest.approx((40 + 20) / 2) and seen.psnr_worst == pytest.approx(20)
    assert seen.ssim_worst == pytest.approx(ssim(original[2].numpy(), changed[2].numpy()))
    assert seen.ssim_worst < seen.ssim < 1
