"""Rotation, scale and speed: what they make of a clip, and that no pixel leaves what search and checker know of it."""

import pytest
import torch
from torch import Tensor

from tests.engine.warp_referee import (
    KINDS,
    LENGTH,
    NARROW,
    ROUNDING,
    checked,
    enclosed,
    noise,
    points,
    ramp,
    smooth,
    some_cells,
    warped,
    worst_in_cell,
    worst_in_leaf,
)
from verification.engine.errors import SpecificationError, UnsupportedOperationError
from verification.engine.network.operations.base import Site
from verification.engine.perturbation import build_space, check_space, impose
from verification.engine.perturbation.distortions.warped import Warped
from verification.engine.relaxation import Enclosure, Form, Interval

SIZES = [(1, 1), (1, 5), (2, 1), (2, 2), (3, 6), (6, 3), (5, 5)]


def _distorted(kind: str, frames: Tensor, p: float, flow: Tensor | None = None) -> Tensor:
    length, _, height, width = frames.shape
    still = torch.zeros((length - 1, 2, height, width), dtype=torch.float64)
    space = build_space(kind, length, height, width, flow=lambda: still if flow is None else flow)
    return space.perturbed(frames, torch.tensor([p], dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_exactly_the_clip(kind: str, dtype: torch.dtype) -> None:
    frames = noise(5, 6, seed=1).to(dtype)
    operation = warped(kind, frames.double()).cast(dtype, torch.device("cpu"))
    assert torch.equal(operation.concrete(torch.zeros((1, 1), dtype=dtype))[0], frames)


@pytest.mark.parametrize("size", [4, 5])
def test_a_quarter_turn_turns_square_frames(size: int) -> None:
    frames = noise(size, size, seed=1)
    torch.testing.assert_close(_distorted("rotation", frames, 90.0), frames.rot90(-1, (2, 3)))  # clockwise
    torch.testing.assert_close(_distorted("rotation", frames, -90.0), frames.rot90(1, (2, 3)))


def test_half_a_turn_turns_all_frames() -> None:
    frames = noise(3, 6, seed=1)
    for p in (180.0, -180.0):
        torch.testing.assert_close(_distorted("rotation", frames, p), frames.flip(2, 3))


def test_one_doubling_makes_everything_twice_as_large() -> None:
    frames = noise(5, 9, seed=1)
    grown, shrunk = _distorted("scale", frames, 1.0), _distorted("scale", frames, -1.0)
    torch.testing.assert_close(grown[:, :, ::2, ::2], frames[:, :, 1:4, 2:7])
    torch.testing.assert_close(shrunk[:, :, 1:4, 2:7], frames[:, :, ::2, ::2])
    assert torch.equal(shrunk[:, :, 0], shrunk[:, :, 1])  # beyond the edge


@pytest.mark.parametrize("p", [-1.0, 0.3, 2.0])
def test_speed_imposes_the_flow_once_more_or_less(p: float) -> None:
    frames = smooth(6, 7, seed=1).repeat(2, 1, 1, 1)
    flow = torch.randn((3, 2, 6, 7), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(_distorted("speed", frames, p, flow), impose(frames, p * flow))


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_checked_without_the_flow_and_written_without_more(kind: str) -> None:
    check_space(kind, 4, 8, 9)
    for wrong in (f"{kind}:frames=1", f"{kind}+brightness"):
        with pytest.raises(SpecificationError):
            check_space(wrong, 4, 8, 9)
    with pytest.raises(SpecificationError, match="as a whole"):
        check_space(kind, 4, 8, 9, flows=(1,))


@pytest.mark.parametrize("kind", KINDS)
def test_the_clip_is_differentiable_in_the_parameter(kind: str) -> None:
    operation = warped(kind, noise(4, 5, seed=1))
    p = torch.tensor([[0.377]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(operation.concrete, (p,))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_no_pixel_leaves_its_enclosure_or_its_form(kind: str, size: tuple[int, int]) -> None:
    for seed in range(2):
        operation = warped(kind, noise(*size, seed=seed), seed=seed)
        for lower, upper in some_cells(kind, seed):
            assert worst_in_cell(operation, lower, upper) <= 0
            assert worst_in_leaf(operation, lower, upper) <= 0


@pytest.mark.parametrize("size", [(20, 33), (40, 17)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_no_pixel_of_larger_frames_does(kind: str, size: tuple[int, int]) -> None:
    """Whose ways are through so many cells that their slopes come from squares of every size."""
    for frames in (noise(*size, seed=3), smooth(*size, seed=3)):
        operation = warped(kind, frames, seed=4, motion=8.0)
        for lower, upper in some_cells(kind, 5):
            assert worst_in_cell(operation, lower, upper, count=20) <= 0
            assert worst_in_leaf(operation, lower, upper, count=20) <= 0


@pytest.mark.parametrize("kind", KINDS)
def test_ramps_are_bent_by_the_course_alone(kind: str) -> None:
    operation = warped(kind, ramp(9, 40))
    for start in (-2.0, 0.0, 0.7, 2.0):
        assert worst_in_cell(operation, start, start + NARROW[kind] / 4) <= 0
        assert worst_in_leaf(operation, start, start + NARROW[kind] / 4) <= 0


@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_points_of_one_cell(kind: str) -> None:
    operation = warped(kind, noise(6, 6, seed=6), seed=6)
    for lower in (0.0, 0.31):
        assert worst_in_cell(operation, lower, lower + NARROW[kind], count=4000) <= 0
        assert worst_in_leaf(operation, lower, lower + NARROW[kind], count=4000) <= 0


@pytest.mark.parametrize("kind", KINDS)
def test_errors_shrink_with_the_square_of_the_cell(kind: str) -> None:
    operation = warped(kind, smooth(32, 40, seed=7), motion=1.0)
    errors = []
    for share in (1 / 8, 1 / 32):
        starts = 0.3 + 0.17 * torch.arange(8, dtype=torch.float64)
        lower, upper = starts, starts + share * NARROW[kind]
        search = [enclosed(operation, *cell).error.mean() for cell in zip(lower.tolist(), upper.tolist(), strict=True)]
        errors.append([float(torch.stack(search).mean()), float(checked(operation, lower, upper).error.mean())])
    wide, narrow = torch.tensor(errors)
    assert bool((wide / narrow > 10).all())


@pytest.mark.parametrize("kind", KINDS)
def test_the_error_is_not_much_more_than_the_pixels_need(kind: str) -> None:
    operation = warped(kind, smooth(32, 40, seed=8), motion=1.0)
    lower, upper = 0.4, 0.4 + NARROW[kind] / 32
    p, _ = points(lower, upper, 40, seed=1)
    values = operation.concrete(p)
    share = ((p - lower) / (upper - lower)).view(-1, 1, 1, 1, 1)
    bent = values - values[-3] - share * (values[-1] - values[-3])
    needed = float((bent.amax(0) - bent.amin(0)).mean()) / 2
    form = checked(operation, *torch.tensor([[lower], [upper]], dtype=torch.float64))
    assert float(enclosed(operation, lower, upper).error.mean()) < 2 * needed
    assert float(form.error.mean()) < 4 * needed


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_that_are_enclosed_themselves(kind: str) -> None:
    """As behind another operation: of several parameters, with an error, and beyond what the interval lets through."""
    operation, generator = warped(kind, noise(5, 6, seed=9)), torch.Generator().manual_seed(9)
    p = Enclosure(*(torch.tensor(part, dtype=torch.float64) for part in ([[0.5]], [[[0.03]], [[-0.05]]], [[0.02]])))
    box = Interval(*torch.tensor([0.41, 0.58], dtype=torch.float64).view(2, 1, 1))
    told = operation.enclose([p], Site(((1, 1),), (box,), ROUNDING))
    form = checked(operation, box.lower[:, 0], box.upper[:, 0])
    for _ in range(400):
        z = 2 * torch.rand(2, dtype=torch.float64, generator=generator) - 1
        off = 2 * torch.rand((), dtype=torch.float64, generator=generator) - 1
        value = p.centre + torch.einsum("k,k...->...", z, p.slopes) + off * p.error
        if bool((value >= box.lower).all() and (value <= box.upper).all()):
            line = told.centre + torch.einsum("k,k...->...", z, told.slopes)
            pixels = operation.concrete(value)
            assert bool(((pixels - line).abs() <= told.error).all())
            assert bool(((pixels - form.centre[0]).abs() <= form.slopes[0, 0].abs() + form.error[0]).all())


@pytest.mark.parametrize("kind", KINDS)
def test_leaves_together_are_known_as_each_alone(kind: str) -> None:
    operation = warped(kind, noise(5, 6, seed=10))
    lower, upper = torch.tensor(some_cells(kind, 10), dtype=torch.float64).unbind(1)
    together = checked(operation, lower, upper)
    for i in range(len(lower)):
        alone = checked(operation, lower[i : i + 1], upper[i : i + 1])
        for part in ("centre", "slopes", "error"):
            torch.testing.assert_close(getattr(together, part)[i], getattr(alone, part)[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_cells_can_be_enclosed_in_a_batch(kind: str) -> None:
    operation = warped(kind, noise(5, 6, seed=11))
    cells = torch.tensor(some_cells(kind, 11), dtype=torch.float64).view(-1, 2, 1, 1)

    def told(cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        box = Interval(cell[0], cell[1])
        p = Enclosure(box.centre, box.radius.unsqueeze(0), 0 * box.centre)
        enclosure = operation.enclose([p], Site(((1, 1),), (box,), ROUNDING))
        return enclosure.centre, enclosure.slopes, enclosure.error

    together = torch.vmap(told)(cells)
    for i, cell in enumerate(cells):
        for whole, alone in zip(together, told(cell), strict=True):
            torch.testing.assert_close(whole[i], alone, rtol=1e-9, atol=1e-9)


def test_intervals_hold_whatever_the_parameter_is() -> None:
    operation = warped("scale", noise(5, 6, seed=12))
    box = Interval(*torch.tensor([-3.0, 3.0], dtype=torch.float64).view(2, 1, 1))
    interval = operation.interval(ROUNDING, box)
    pixels = operation.concrete(torch.linspace(-3, 3, 200, dtype=torch.float64).unsqueeze(1))
    assert bool(((pixels >= interval.lower) & (pixels <= interval.upper)).all())


def test_nothing_is_pulled_back_through_it() -> None:
    operation: Warped = warped("rotation", noise(3, 3, seed=1))
    box = Interval(*torch.zeros((2, 1, 1), dtype=torch.float64))
    form = Form.identity((1, LENGTH, 3, 3, 3), 2, torch.float64, torch.device("cpu"))
    with pytest.raises(UnsupportedOperationError, match="from its parameter on"):
        operation.backward(form, Site(((1, 1),), (box,), ROUNDING))
