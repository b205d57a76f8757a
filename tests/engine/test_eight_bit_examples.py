"""Where 8 bits are asked for, an example counts only if its class change survives the rounding of the frames."""

import pytest
import torch
from torch import Tensor

from tests.engine.questions import Recording, make_specification
from verification.engine import Budget, CheckpointError, Norm, Specification, verify
from verification.engine.bounds.problem import Problem
from verification.engine.flow import build_extractor
from verification.engine.search import EightBitProblem, MinimumNormSearch, confirm

EXTRACTOR = build_extractor("farneback")


def asked(**fields: object) -> Specification:
    """In pixels the nearest example of this clip does not survive rounding."""
    return make_specification(3, **{"space": "pixels", "eight_bit": True, **fields})


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem.build(asked())


@pytest.fixture(scope="module")
def nearest(problem: Problem) -> Tensor:
    """The nearest example of exact values."""
    search = MinimumNormSearch(problem)
    search.step(lambda: None, 200)
    assert search.best is not None
    return search.best


def rounded_class(problem: Problem, clip: Tensor) -> int:
    return int(problem.logits_of((clip.double() * 255).round() / 255).argmax())


def test_an_example_that_rounding_undoes_counts_only_where_8_bits_are_not_asked_for(
    problem: Problem, nearest: Tensor
) -> None:
    size = problem.norm_of(nearest) * 1.0001
    exact = confirm(problem, nearest, None, EXTRACTOR, size)

    assert exact is not None and not exact[0].survives_rounding
    assert rounded_class(problem, exact[0].clip) == problem.label
    assert confirm(problem, nearest, None, EXTRACTOR, size, eight_bit=True) is None


def test_farther_along_the_ray_it_survives(problem: Problem, nearest: Tensor) -> None:
    confirmed = confirm(problem, nearest, None, EXTRACTOR, eight_bit=True)

    assert confirmed is not None
    example, a = confirmed
    assert example.survives_rounding and example.label == rounded_class(problem, example.clip) != problem.label
    assert int(problem.logits_of(example.clip.double()).argmax()) != problem.label
    assert 1 < problem.norm_of(a) / problem.norm_of(nearest) < 1.5
    assert example.distances[Norm.L2] == pytest.approx(problem.norm_of(a))


def test_the_search_finds_survivors_and_nearer_ones_than_the_ray_leads_to(problem: Problem, nearest: Tensor) -> None:
    search = MinimumNormSearch(EightBitProblem.of(problem))
    search.step(lambda: None, 300)

    assert search.best is not None
    found = confirm(problem, search.best, None, EXTRACTOR, eight_bit=True)
    along = confirm(problem, nearest, None, EXTRACTOR, eight_bit=True)
    assert found is not None and along is not None
    assert found[0].distances[Norm.L2] <= along[0].distances[Norm.L2]


def test_a_refused_candidate_does_not_stall_the_search(problem: Problem) -> None:
    search = MinimumNormSearch(EightBitProblem.of(problem))
    first = next(filter(None, (search.step(lambda: None, 16) for _ in range(40))))
    search.go_back(None)

    again = next(filter(None, (search.step(lambda: None, 16) for _ in range(40))))

    assert again.norm < 2 * first.norm


def test_a_run_counts_survivors_only_and_its_bounds_stay_monotone() -> None:
    question, heard = asked(budget=Budget(seconds=600, rounds=7)), Recording()
    problem = Problem.build(question)

    result = verify(question, heard)

    assert heard.examples and result.upper is not None
    for example in heard.examples:
        assert example.survives_rounding
        assert example.label == rounded_class(problem, example.clip) != problem.label
    uppers = [point.upper for point in heard.points if point.upper is not None]
    assert uppers == sorted(uppers, reverse=True)
    assert all(point.upper is None or point.lower <= point.upper for point in heard.points)
    assert result.adversarial is not None and result.adversarial.distances[Norm.L2] == result.upper
    assert any("rounded to 8 bits" in text for text in heard.events)


def test_a_run_goes_on_with_its_survivor_and_is_another_question_than_the_exact_one() -> None:
    heard = Recording()
    before = verify(asked(budget=Budget(seconds=600, rounds=6)), heard)
    checkpoint = heard.checkpoints[-1]

    after = verify(asked(budget=Budget(seconds=600, rounds=9)), Recording(), checkpoint)

    assert before.upper is not None and after.upper is not None and after.upper <= before.upper
    assert after.adversarial is not None and after.adversarial.survives_rounding
    with pytest.raises(CheckpointError, match="another question"):
        verify(asked(eight_bit=False), Recording(), checkpoint)


def test_the_gradient_is_that_of_the_exact_clip_where_rounding_decides(problem: Problem, nearest: Tensor) -> None:
    strict = EightBitProblem.of(problem)
    point = nearest.clone().requires_grad_(True)
    logits = strict.logits(point)
    (gradient,) = torch.autograd.grad(logits[problem.label], point)

    torch.testing.assert_close(logits, strict.logits_of((strict.perturbed(nearest) * 255).round() / 255))
    assert float(gradient.abs().max()) > 0
