"""The audit: in every space and norm the strongest attack there is begins inside the ball that a run has proven, and fails.

The attack is a search for the nearest adversarial example with another seed than the run, and no room but the ball. That it
can succeed is seen by giving it more room than the run's own upper bound.
"""

import pytest

from tests.engine.questions import make_specification
from verification.engine import Budget, LowerMethod, Norm, verify
from verification.engine.bounds.problem import Problem
from verification.engine.search import MinimumNormSearch

CELLS, GRID, ROOT = LowerMethod.CELLS, LowerMethod.GRID, LowerMethod.ROOT
#: A space, which flows may change, by what the lower bound is proven, and in which norms.
QUESTIONS = [
    ("translation", (1,), CELLS, "l1 l2 linf"),
    ("translation", (2, 3), CELLS, "l2"),
    ("blocks:1x2", (2,), CELLS, "l2 linf"),
    ("affine", (1,), CELLS, "l1 l2"),
    ("translation", (1,), GRID, "linf"),
    ("translation", None, ROOT, "l1 linf"),
    ("blocks:2x2", None, CELLS, "l2"),
    ("affine", None, CELLS, "l1 l2 linf"),
    ("moving:0.8", None, CELLS, "l1 l2"),
    ("dense", None, CELLS, "l1 l2 linf"),
    ("dense", (2,), CELLS, "l2"),
    ("pixels", None, CELLS, "l1 l2 linf"),
]
ROUNDS, ATTACKS = 6, 130


def _attacked(problem: Problem, limit: float) -> float:
    """The norm of the nearest adversarial example within `limit` that the attack finds; infinite if there is none."""
    search = MinimumNormSearch(problem, limit=limit, seed=4711)
    search.step(lambda: None, ATTACKS)
    return search.norm


@pytest.mark.parametrize(
    ("space", "flows", "method", "norm"),
    [(*question, Norm(norm)) for *question, norms in QUESTIONS for norm in norms.split()],
)
def test_no_attack_succeeds_in_the_ball_that_a_run_has_proven(
    space: str, flows: tuple[int, ...] | None, method: LowerMethod, norm: Norm
) -> None:
    specification = make_specification(
        1, space=space, flows=flows, norm=norm, lower_method=method, budget=Budget(seconds=600, rounds=ROUNDS)
    )
    result = verify(specification)
    assert result.lower > 0 or method is GRID  # a coarse grid may prove nothing
    problem = Problem.build(specification)
    if result.lower:
        assert _attacked(problem, result.lower) > result.lower
    if result.upper is not None:
        assert result.lower <= _attacked(problem, 1.3 * result.upper) <= 1.3 * result.upper
