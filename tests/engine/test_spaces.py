"""What every manipulation space promises: its norm, how far it reaches, what functionals can gain in it, and its spelling."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.perturbation import FlowSpace, Norm, Window, build_space, check_space, displacements
from verification.engine.search.steepest import steepest

LENGTH, HEIGHT, WIDTH = 5, 6, 7
FLOW = torch.randn((LENGTH - 1, 2, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0))
TEXTS = ["dense", "blocks:1x1", "blocks:2x3", "blocks:4x4", "moving:0.8", "translation", "affine"]
FLOWS = [None, (2,), (1, 3, 4)]


def make(text: str, flows: tuple[int, ...] | None = None) -> FlowSpace:
    space = build_space(text, LENGTH, HEIGHT, WIDTH, flows, lambda: FLOW)
    assert isinstance(space, FlowSpace)
    return space


def points(space: FlowSpace, norm: Norm, seed: int, count: int = 40) -> list[Tensor]:
    """Coordinates of norm 1: dense ones, signs, and single dimensions."""
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for number in range(count):
        a = torch.randn(space.shape, generator=generator, dtype=torch.float64)
        if number % 3 == 1:
            a = a.sign()
        elif number % 3 == 2:
            only = torch.zeros(a.numel(), dtype=torch.float64)
            only[int(torch.randint(a.numel(), (), generator=generator))] = 1.0
            a = a * only.view(a.shape)
        drawn.append(a / space.norm(a, norm))
    return drawn


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("flows", FLOWS)
@pytest.mark.parametrize("text", TEXTS)
def test_the_norm_is_that_of_the_whole_perturbation(text: str, flows: tuple[int, ...] | None, norm: Norm) -> None:
    space = make(text, flows)
    for a in points(space, norm, seed=1, count=9):
        delta = space.lift(a)
        assert tuple(delta.shape) == space.delta_shape
        assert float(norm.of(delta)) == pytest.approx(1.0)
        still = [t for t in range(LENGTH - 1) if t + 1 not in space.flows]
        assert not delta[still].any()
        scales = space.scales(norm)
        if scales is not None:
            assert float(norm.of(a * scales)) == pytest.approx(1.0)


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("flows", FLOWS)
@pytest.mark.parametrize("text", TEXTS)
def test_no_frame_moves_further_than_the_reach(text: str, flows: tuple[int, ...] | None, norm: Norm) -> None:
    space = make(text, flows)
    reach = space.reach(1.0, norm)
    corner = torch.ones(space.shape, dtype=torch.float64)
    farthest = torch.zeros_like(reach)
    for a in [*points(space, norm, seed=2), corner / space.norm(corner, norm)]:
        moved = displacements(space.lift(a)).abs().amax((1, 2, 3))
        assert (moved <= reach * (1 + 1e-12)).all()
        farthest = torch.maximum(farthest, moved)
    if norm is Norm.LINF:
        assert torch.allclose(farthest, reach)  # everything at once, in one direction


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    text=st.sampled_from(TEXTS),
    norm=st.sampled_from(list(Norm)),
    flows=st.sampled_from(FLOWS),
    first=st.integers(-1, LENGTH - 1),
    length=st.integers(1, LENGTH),
    row=st.integers(-2, HEIGHT - 1),
    column=st.integers(-2, WIDTH - 1),
    height=st.integers(1, HEIGHT),
    width=st.integers(1, WIDTH),
    spread=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_no_perturbation_gains_more_than_the_support(
    text: str,
    norm: Norm,
    flows: tuple[int, ...] | None,
    first: int,
    length: int,
    row: int,
    column: int,
    height: int,
    width: int,
    spread: bool,
    seed: int,
) -> None:
    """Coefficients on a window, for the sums of flows that move its frames, against their meaning written out in full."""
    space = make(text, flows)
    window = Window(
        torch.tensor([first]),
        length,
        row + torch.arange(height)[None],
        column + torch.arange(width)[None],
    )
    generator = torch.Generator().manual_seed(seed)
    signed = torch.randn((1, length, 2, height, width), generator=generator, dtype=torch.float64)
    inside = ((window.rows >= 0) & (window.rows < HEIGHT))[0][:, None] & (
        (window.columns >= 0) & (window.columns < WIDTH)
    )[0]
    signed = signed * inside
    size = torch.rand(signed.shape, generator=generator, dtype=torch.float64) * inside * spread

    support = float(space.support(signed, size, window, norm)[0])

    whole = [written_out(coefficients[0], first, row, column) for coefficients in (signed, size)]
    climbing = steepest(space, -pulled_back(space, whole[0]), norm, 1.0, reach=1e9)
    for a in [*points(space, norm, seed, count=12), climbing]:
        delta = space.lift(a)
        gain = float((whole[0] * delta + whole[1] * delta.abs()).sum())
        assert gain <= support * (1 + 1e-9) + 1e-12
    if not spread and not (text == "affine" and norm is Norm.L1):
        assert float((whole[0] * space.lift(climbing)).sum()) == pytest.approx(support, rel=1e-6, abs=1e-9)


def written_out(coefficients: Tensor, first: int, row: int, column: int) -> Tensor:
    """(l-1, 2, h, w): for every flow s, from 0, the coefficients of the first entry whose frame it moves."""
    whole = torch.zeros((LENGTH - 1, 2, HEIGHT, WIDTH), dtype=torch.float64)
    length, _, height, width = coefficients.shape
    for s in range(LENGTH - 1):
        entry = max(s + 1 - first, 0)
        if entry >= length or first + entry >= LENGTH:
            continue
        for i in range(max(row, 0), min(row + height, HEIGHT)):
            for j in range(max(column, 0), min(column + width, WIDTH)):
                whole[s, :, i, j] = coefficients[entry, :, i - row, j - column]
    return whole


def pulled_back(space: FlowSpace, coefficients: Tensor) -> Tensor:
    """The gradient in the coordinates of `coefficients . delta`."""
    a = torch.zeros(space.shape, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad((coefficients * space.lift(a)).sum(), a)
    return gradient


@pytest.mark.parametrize(
    ("text", "dimensions"),
    [("dense", 336), ("blocks:2x3", 48), ("translation", 8), ("affine", 24), ("moving:0.5", 168)],
)
def test_how_many_dimensions_there_are(text: str, dimensions: int) -> None:
    assert make(text).dimensions == dimensions


def test_pixels_move_whose_flow_is_fastest() -> None:
    space = make("moving:0.9", (1, 2))
    speed = torch.linalg.vector_norm(FLOW, dim=1)
    moving = space.lift(torch.ones(space.shape)).abs().sum(1) > 0

    assert not moving[2:].any()
    assert int(moving.sum()) == pytest.approx(0.1 * 2 * HEIGHT * WIDTH, abs=1)
    assert float(speed[:2][moving[:2]].min()) > float(speed[:2][~moving[:2]].max())


def test_a_translation_is_a_single_block() -> None:
    a = torch.randn((LENGTH - 1, 2, 1, 1))
    assert torch.equal(make("translation").lift(a), make("blocks:1x1").lift(a))


def test_an_affine_field_stretches_and_turns_about_the_middle() -> None:
    space = make("affine", (1,))
    a = torch.zeros((1, 2, 3))
    a[0, 0, 1], a[0, 1, 2] = 3.0, 2.0
    field = space.lift(a)[0]

    assert torch.allclose(field[0], torch.linspace(-3, 3, WIDTH).expand(HEIGHT, WIDTH))
    assert torch.allclose(field[1], torch.linspace(-2, 2, HEIGHT)[:, None].expand(HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing", "there is no space 'nothing'; choose one of dense, blocks:2x2"),
        ("blocks", "such as blocks:2x2; not blocks:"),
        ("blocks:2", "such as blocks:2x2; not blocks:2"),
        ("blocks:0x2", "not 0x2"),
        ("blocks:7x2", "6x7 can be cut into 1x1 to 6x7 blocks, not 7x2"),
        ("moving", "such as moving:0.9; not moving:"),
        ("moving:1", "below 1"),
        ("moving:nan", "below 1"),
        ("dense:1", "written without more: dense, not dense:1"),
        ("pixels:", "written without more: pixels, not pixels:"),
    ],
)
def test_what_is_written_wrongly_is_refused(text: str, says: str) -> None:
    with pytest.raises(SpecificationError, match=says):
        check_space(text, LENGTH, HEIGHT, WIDTH)
    with pytest.raises(SpecificationError, match=says):
        build_space(text, LENGTH, HEIGHT, WIDTH, None, lambda: FLOW)


@pytest.mark.parametrize("text", TEXTS)
def test_flows_that_the_clip_does_not_have_are_refused(text: str) -> None:
    check_space(text, LENGTH, HEIGHT, WIDTH, (1, 4))
    with pytest.raises(SpecificationError, match="has the flows 1 to 4; 5 does not exist"):
        check_space(text, LENGTH, HEIGHT, WIDTH, (1, 5))


def test_a_clip_without_motion_has_no_moving_pixels() -> None:
    with pytest.raises(SpecificationError, match="flow is longer than the 0"):
        build_space("moving:0.5", LENGTH, HEIGHT, WIDTH, None, lambda: torch.zeros_like(FLOW))


def test_affine_needs_two_pixels_a_side() -> None:
    with pytest.raises(SpecificationError, match="at least 2x2 pixels, not 1x7"):
        build_space("affine", LENGTH, 1, WIDTH)
