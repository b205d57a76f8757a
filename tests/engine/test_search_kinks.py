"""What the search knows of the kinks where nothing moves: both rates are right, and its first direction makes use of them."""

import pytest
import torch
from torch import Tensor

from tests.engine.questions import make_specification
from verification.engine import Norm
from verification.engine.bounds.problem import Problem
from verification.engine.search.descent import Plan, descend
from verification.engine.search.kinks import Kinks
from verification.engine.search.start import first_order_start, margin_of
from verification.engine.search.steepest import steepest


def problem_in(norm: Norm = Norm.L2, space: str = "dense") -> Problem:
    return Problem.build(make_specification(1, norm=norm, space=space))


def weights_of(problem: Problem) -> Tensor:
    """The derivative of the margin by the clip."""
    clip = problem.frames.clone().requires_grad_(True)
    (weights,) = torch.autograd.grad(margin_of(problem.logits_of(clip), problem.label, None), clip)
    return weights


@pytest.mark.parametrize("space", ["dense", "blocks:2x3", "affine"])
@pytest.mark.parametrize("seed", range(4))
def test_both_rates_say_how_the_clip_changes_next_to_rest(space: str, seed: int) -> None:
    problem = problem_in(space=space)
    weights = weights_of(problem)
    a = 1e-5 * torch.randn(problem.space.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    fall = Kinks.at_rest(problem, weights).fall(problem, a.float())

    clip = problem.frames.double()
    exact = float((weights.double() * (clip - problem.perturbed(a))).sum())
    size = float((weights.double() * (clip - problem.perturbed(a))).abs().sum())
    assert fall == pytest.approx(exact, abs=1e-3 * size)


@pytest.mark.parametrize("norm", [Norm.L2, Norm.LINF])
def test_the_first_direction_falls_faster_than_the_gradient_of_either_side(norm: Norm) -> None:
    problem = problem_in(norm)
    kinks = Kinks.at_rest(problem, weights_of(problem))

    start = first_order_start(problem, problem.frames, None, reach=1.0)

    assert float(norm.of(start.direction)) == pytest.approx(1.0, rel=1e-4)
    for side in (Kinks(kinks.right, kinks.right), Kinks(kinks.left, kinks.left)):
        plain = steepest(problem.space, side.descent(problem), norm, 1.0, reach=1.0)
        assert kinks.fall(problem, start.direction) > 1.05 * kinks.fall(problem, plain)


@pytest.mark.parametrize("norm", [Norm.L2, Norm.LINF])
def test_a_descent_crosses_over_to_the_better_side(norm: Norm) -> None:
    """Begun against the steepest direction, where every pixel is on its wrong side, it comes near one that began along it."""
    problem = problem_in(norm)
    direction = first_order_start(problem, problem.frames, None, reach=1.0).direction

    def least(start: Tensor) -> float:
        found = descend(problem, Plan(None, 0.7, 60, reach=1.0), start, float("inf"))
        return min(seen.norm for seen in found if seen.adversarial)

    assert least(-0.01 * direction) < 1.2 * least(0.01 * direction)
