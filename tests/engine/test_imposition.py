"""Imposing a manipulated flow on the frames: identity at zero, accumulation, and the gradient that searches rely on."""

import torch
from torch import Tensor

from verification.engine.perturbation import displacements, impose, warp

LENGTH, HEIGHT, WIDTH = 4, 7, 9


def frames(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand((LENGTH, 3, HEIGHT, WIDTH), dtype=dtype, generator=torch.Generator().manual_seed(0))


def deltas(size: float, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn((LENGTH - 1, 2, HEIGHT, WIDTH), dtype=torch.float64, generator=generator)


def test_no_change_of_flow_gives_exactly_the_clip() -> None:
    for dtype in (torch.float32, torch.float64):
        clip = frames(dtype)
        assert torch.equal(impose(clip, torch.zeros((LENGTH - 1, 2, HEIGHT, WIDTH), dtype=dtype)), clip)


def test_the_first_frame_never_moves() -> None:
    clip = frames()

    assert torch.equal(impose(clip, deltas(3.0))[0], clip[0])


def test_a_change_of_one_flow_moves_every_later_frame() -> None:
    clip, delta = frames(), torch.zeros((LENGTH - 1, 2, HEIGHT, WIDTH), dtype=torch.float64)
    delta[1, 0] = 1.0

    imposed = impose(clip, delta)

    assert torch.equal(imposed[:2], clip[:2])
    torch.testing.assert_close(imposed[2:, :, :, 1:], clip[2:, :, :, :-1])


def test_positive_components_move_content_right_and_down() -> None:
    clip = frames()
    moved = torch.zeros((LENGTH, 2, HEIGHT, WIDTH), dtype=torch.float64)
    moved[:, 0], moved[:, 1] = 2.0, 1.0

    warped = warp(clip, moved)

    torch.testing.assert_close(warped[:, :, 1:, 2:], clip[:, :, :-1, :-2])
    torch.testing.assert_close(warped[:, :, 0, :2], clip[:, :, 0, :1].expand(-1, -1, 2))


def test_values_stay_in_the_unit_interval() -> None:
    imposed = impose(frames(), deltas(20.0))

    assert float(imposed.min()) >= 0 and float(imposed.max()) <= 1


def test_displacements_accumulate() -> None:
    delta = deltas(1.0)

    found = displacements(delta)

    torch.testing.assert_close(found[3], delta[0] + delta[1] + delta[2])
    assert not found[0].any()


def test_gradient_agrees_with_finite_differences() -> None:
    clip, weights = frames(), torch.randn((LENGTH, 3, HEIGHT, WIDTH), dtype=torch.float64)
    point = deltas(0.8).requires_grad_(True)
    (gradient,) = torch.autograd.grad((weights * impose(clip, point)).sum(), point)
    step = 1e-6
    with torch.no_grad():
        for direction in (deltas(1.0, seed) for seed in range(10, 20)):
            ahead = (weights * impose(clip, point + step * direction)).sum()
            behind = (weights * impose(clip, point - step * direction)).sum()
            expected = (gradient * direction).sum()
            torch.testing.assert_close((ahead - behind) / (2 * step), expected, rtol=1e-4, atol=1e-6)


def test_gradient_of_single_components_agrees_with_finite_differences() -> None:
    clip, weights = frames(), torch.randn((LENGTH, 3, HEIGHT, WIDTH), dtype=torch.float64)
    point = deltas(0.8).requires_grad_(True)
    (gradient,) = torch.autograd.grad((weights * impose(clip, point)).sum(), point)
    step = 1e-7
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for index in torch.randint(point.numel(), (40,), generator=generator).tolist():
            direction = torch.zeros(point.numel(), dtype=torch.float64)
            direction[index] = step
            direction = direction.view_as(point)
            ahead = (weights * impose(clip, point + direction)).sum()
            behind = (weights * impose(clip, point - direction)).sum()
            torch.testing.assert_close((ahead - behind) / (2 * step), gradient.flatten()[index], rtol=1e-4, atol=1e-5)
