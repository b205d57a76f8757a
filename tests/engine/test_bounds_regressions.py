"""Unsound bounds that were found once; each test failed before its repair."""

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from tests.engine.bounding import (
    HEIGHT,
    LENGTH,
    TOLERANCE,
    WIDTH,
    bounds_of,
    flow_region,
    make_frames,
    radius_for,
    worst_violation,
)
from verification.engine.network.export import export_graph
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Rounding


class TwoViews(nn.Module):
    """The clip and its mirror image as a batch of two through the same layers, then the mean over both."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv3d(3, 4, (2, 3, 3), padding=(0, 1, 1)), nn.Linear(8, 3)

    def forward(self, clip: Tensor) -> Tensor:
        views = torch.cat([clip, clip.flip(-1)]).transpose(1, 2)
        return self.head(torch.relu(self.conv(views)).mean((2, 3, 4)).reshape(1, -1))


@pytest.mark.parametrize(("kind", "norm"), [("dense", Norm.L2), ("translation", Norm.LINF)])
def test_views_joined_along_the_batch_axis(kind: str, norm: Norm) -> None:
    # Their windows met at the clip with two entries along the batch axis, of which only the first was seen to move.
    torch.manual_seed(0)
    graph = export_graph(TwoViews(), (1, LENGTH, 3, HEIGHT, WIDTH))
    region, points = flow_region(make_frames(5), kind, norm, radius_for(kind, norm, 1.0), Rounding(rigorous=True))
    assert worst_violation(graph, region, points, seed=7, count=6) <= TOLERANCE[True]


class ManySmallShifts(nn.Module):
    """One logit adds and takes away 1e10 on one path, and adds `count` times half a unit of its last place on another."""

    count, shift = 300, -0.49 * math.ulp(1e10)

    def forward(self, clip: Tensor) -> Tensor:
        x = clip.flatten(1)
        large, small = x[:, :1] - 1e10, x[:, 1:2]
        for _ in range(self.count):
            small = small + self.shift
        return torch.cat([large + small + 1e10, 0.0 * x[:, 2:3]], 1)


def test_constants_of_many_nodes_add_up_with_a_margin() -> None:
    # Each node covered the rounding of its own constant, none that of adding it to the constants before it.
    graph = export_graph(ManySmallShifts(), (1, 2, 3, 1, 1))
    region, _ = flow_region(torch.full((2, 3, 1, 1), 0.25), "pixels", Norm.LINF, 1e-9, Rounding(rigorous=True))
    exact = 2 * (Fraction(0.25) - Fraction(1e-9)) + ManySmallShifts.count * Fraction(ManySmallShifts.shift)
    assert Fraction(float(bounds_of(graph, region).margins(0)[0])) <= exact
