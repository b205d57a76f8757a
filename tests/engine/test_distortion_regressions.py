"""Natural distortions that once went wrong, with what was wrong about them."""

import pytest
import torch

from tests.engine.test_distortion_bounds import problem_of
from verification.engine.certificate.certify_cells import prove_cells
from verification.engine.certificate.checker import Checker
from verification.engine.certificate.cover import Ball, leaves_of
from verification.engine.game.cells import CellSearch
from verification.engine.perturbation import Distortion, build_space, unit_of

FLAT = "occlusion:size=16x6,at=anywhere"  # as high as the frames: it can move along one axis only


@pytest.mark.parametrize(
    ("blank", "plain"),
    [
        (" brightness", "brightness"),
        ("gamma\t", "gamma"),
        ("brightness : frames=1", "brightness:frames=1"),
        ("occlusion :size=2x3, at=anywhere", "occlusion:size=2x3,at=anywhere"),
        ("brightness+contrast :", "brightness+contrast"),
    ],
)
def test_blanks_around_names_are_no_traceback(blank: str, plain: str) -> None:
    spaces = [build_space(text, 4, 12, 16) for text in (blank, plain)]
    assert all(isinstance(space, Distortion) for space in spaces)
    frames = torch.rand((4, 3, 12, 16), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    point = torch.full(spaces[0].shape, 0.3, dtype=torch.float64)
    assert torch.equal(*(space.perturbed(frames, point) for space in spaces))
    assert unit_of(blank) is unit_of(plain)


def test_a_parameter_of_one_value_alone_is_never_cut() -> None:
    """A rectangle of a whole side: the share of what there is to choose from was infinite, and no other coordinate was cut."""
    problem, _ = problem_of(FLAT)
    search = CellSearch(problem, None)
    for _ in range(5):
        search.step(None, lambda: None)
    cut = {move.dimension for move in search.frontier.moves()}
    assert 2 in cut
    assert 1 not in cut


def test_a_certificate_has_no_leaves_along_a_parameter_of_one_value_alone() -> None:
    """The checker's leaves were cut where the coordinate is zero again and again, which makes no cover."""
    problem, space = problem_of(FLAT)
    checker = Checker(problem.graph, problem.frames.double(), space, problem.label)
    ball, splits = prove_cells(checker, Ball.of(space, problem.norm, 0.04), (), 20, lambda: None)
    lower, upper = leaves_of(splits, space.dimensions)
    touched = ball.distances(lower, upper) <= ball.radius
    assert bool((checker.prove(lower[touched], upper[touched], ball, lambda: None).margins > 0).all())
    assert 1 not in {split.dimension for split in splits}
