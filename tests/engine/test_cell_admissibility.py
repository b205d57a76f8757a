"""No estimate of a cell is above the distance of an adversarial example in it: tiny networks, searched exhaustively."""

import math

import pytest
import torch

from tests.engine.cell_games import NETWORKS, estimate_excess, make_game
from tests.engine.cell_referee import unchecked
from verification.engine.bounds.distance import Yardstick, least_distances
from verification.engine.game.cells import CellSearch
from verification.engine.perturbation import Norm

_NEAR = 0.05  # the search comes as near to the nearest example of the grid: its share of the distance


@pytest.mark.parametrize(("height", "width"), [(1, 6), (4, 5)])
@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("name", list(NETWORKS))
def test_no_estimate_is_above_the_nearest_example_in_its_cell_and_the_search_finds_that(
    name: str, norm: Norm, height: int, width: int
) -> None:
    game = make_game(name, norm, height, width, seed=3)
    search = CellSearch(game.problem, limit=None)
    for _ in range(120):
        search.step(game.nearest, unchecked)
        assert search.lower <= game.nearest
        if search.frontier.count % 4 == 0 or search.finished:
            assert estimate_excess(game, search) <= 0
        if search.lower >= (1 - _NEAR) * game.nearest:
            break
    assert search.lower >= (1 - _NEAR) * game.nearest
    assert estimate_excess(game, search) <= 0


@pytest.mark.parametrize("norm", list(Norm))
def test_a_search_that_knows_of_no_example_does_not_go_past_it(norm: Norm) -> None:
    """It has no upper bound to stop at: cells around the nearest example become as small as numbers allow."""
    game = make_game("relu", norm, 1, 6, seed=5)
    search = CellSearch(game.problem, limit=None)
    for _ in range(60):
        search.step(None, unchecked)
        assert search.lower <= game.nearest
        assert estimate_excess(game, search) <= 0
    assert search.lower >= (1 - _NEAR) * game.nearest


def test_a_ball_that_holds_no_example_is_proven_and_the_search_ends() -> None:
    game = make_game("relu", Norm.L1, 1, 6, seed=3)
    for share in torch.linspace(0.5, 0.9, 12).tolist():
        limit = share * game.nearest
        search = CellSearch(game.problem, limit)
        for _ in range(200):
            search.step(None, unchecked)
            if search.finished:
                break
        assert search.finished
        assert search.lower == limit


def test_a_cell_as_thin_as_a_point_is_not_taken_for_one_beyond_the_target() -> None:
    game = make_game("relu", Norm.L2, 4, 5, seed=3)
    example, distance = game.adversarial[game.distances.argmin()], game.nearest
    search = CellSearch(game.problem, limit=None)
    state, tensors = search.state()
    thin = {"lower": example.unsqueeze(0), "upper": example.unsqueeze(0)}
    search.restore(state | {"target": 2 * distance}, tensors | thin)
    search.step(None, unchecked)
    assert float(search.frontier.tensors()["estimate"][0]) <= distance


@pytest.mark.parametrize("norm", list(Norm))
def test_bounds_that_are_no_numbers_tell_no_more_than_where_the_cell_is(norm: Norm) -> None:
    yardstick = Yardstick(norm, torch.ones(2, dtype=torch.float64))
    centre, zeros = torch.ones(2, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    for constants, slopes in ((zeros[:, 0] + math.nan, zeros), (zeros[:, 0], zeros + math.nan)):
        told = least_distances(yardstick, centre, centre / 2, constants, slopes)
        assert float(told) <= float(yardstick.of(centre / 2))
