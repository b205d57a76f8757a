"""The extreme points of Lp balls against their definition."""

import pytest
import torch

from verification.engine.perturbation import Norm, build_space
from verification.engine.search.steepest import steepest

SPACE = build_space("dense", 4, 1, 5)
GRADIENT = torch.randn((3, 2, 1, 5), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("radius", [0.01, 0.7, 40.0])
def test_no_point_of_the_ball_is_lower(norm: Norm, radius: float) -> None:
    found = steepest(SPACE, GRADIENT, norm, radius, reach=1e9)

    assert float(norm.of(found)) == pytest.approx(radius, rel=1e-5)
    assert float((found * GRADIENT).sum()) == pytest.approx(-radius * float(norm.dual.of(GRADIENT)), rel=1e-5)


def test_no_coordinate_goes_further_than_its_reach_in_l1() -> None:
    found = steepest(SPACE, GRADIENT, Norm.L1, 6.0, reach=1.5)

    assert int((found != 0).sum()) == 4
    assert float(found.abs().max()) == pytest.approx(1.5)
    assert float(found.abs().sum()) == pytest.approx(6.0)
    strongest = GRADIENT.flatten().abs().topk(4).indices
    assert set(found.flatten().nonzero().flatten().tolist()) == set(strongest.tolist())


def test_what_cannot_move_is_left_alone_and_nothing_goes_further_than_it_can_in_l1() -> None:
    room = torch.rand(GRADIENT.shape, generator=torch.Generator().manual_seed(1)).sub(0.3).clamp(min=0)

    for norm in Norm:
        found = steepest(SPACE, GRADIENT, norm, 2.0, reach=0.5, room=room)
        assert not found[room == 0].any()
        assert float(norm.of(found)) == pytest.approx(2.0, rel=1e-5)
    assert bool(
        (steepest(SPACE, GRADIENT, Norm.L1, 2.0, reach=0.5, room=room).abs() <= room.clamp(max=0.5) + 1e-6).all()
    )
