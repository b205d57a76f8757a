"""An adversarial example counts when float64 says so on the imposed clip, and not otherwise."""

import pytest
import torch
from torch import Tensor

from tests.engine.questions import make_specification
from verification.engine import AdversarialExample, Norm, Specification
from verification.engine.bounds.problem import Problem
from verification.engine.flow import build_extractor
from verification.engine.search import MinimumNormSearch, confirm

EXTRACTOR = build_extractor("farneback")


@pytest.fixture(scope="module")
def specification() -> Specification:
    return make_specification(1)


@pytest.fixture(scope="module")
def problem(specification: Specification) -> Problem:
    return Problem.build(specification)


@pytest.fixture(scope="module")
def best(problem: Problem) -> Tensor:
    search = MinimumNormSearch(problem)
    search.step(lambda: None, 150)
    assert search.best is not None
    return search.best


@pytest.fixture(scope="module")
def flow(problem: Problem) -> Tensor:
    return EXTRACTOR.extract(problem.frames)


@pytest.fixture(scope="module")
def example(problem: Problem, best: Tensor, flow: Tensor) -> AdversarialExample:
    confirmed = confirm(problem, best, flow, EXTRACTOR)
    assert confirmed is not None
    return confirmed[0]


def imposed(frames: Tensor, delta: Tensor) -> Tensor:
    """Section 2 of the contract once more, by torch's own bilinear sampler."""
    length, _, height, width = frames.shape
    moved = torch.cat([torch.zeros_like(delta[:1]), delta.cumsum(0)])
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x = (columns - moved[:, 0]) * 2 / (width - 1) - 1
    y = (rows - moved[:, 1]) * 2 / (height - 1) - 1
    grid = torch.stack([x, y], dim=3)
    sample = torch.nn.functional.grid_sample
    return sample(frames.double(), grid, mode="bilinear", padding_mode="border", align_corners=True).view(
        length, 3, height, width
    )


def test_another_evaluation_agrees(specification: Specification, problem: Problem, example: AdversarialExample) -> None:
    network = make_specification(1).classifier.module.double()

    clip = imposed(specification.clip.frames, example.delta)
    logits = network(clip.unsqueeze(0))[0]

    torch.testing.assert_close(clip, example.clip.double(), atol=1e-6, rtol=0)
    assert int(logits.argmax()) == example.label != problem.label
    assert float(logits.softmax(0)[example.label]) == pytest.approx(example.confidence, abs=1e-5)


def test_the_stored_clip_is_adversarial_by_itself(problem: Problem, example: AdversarialExample) -> None:
    assert int(problem.logits_of(example.clip.double()).argmax()) == example.label


def test_distances_and_shares(example: AdversarialExample) -> None:
    flat = example.delta.flatten().abs()

    assert example.distances[Norm.L1] == pytest.approx(float(flat.sum()))
    assert example.distances[Norm.L2] == pytest.approx(float(flat.square().sum().sqrt()))
    assert example.distances[Norm.LINF] == pytest.approx(float(flat.max()))
    energy = example.delta.square().sum((1, 2, 3))
    assert example.shares == pytest.approx((energy / energy.sum()).tolist())
    assert sum(example.shares) == pytest.approx(1)


def test_realisation_is_measured_on_the_perturbed_clip(example: AdversarialExample, flow: Tensor) -> None:
    error = EXTRACTOR.extract(example.clip).double() - flow.double() - example.delta

    assert example.realisation is not None
    assert example.realisation.rms == pytest.approx(float(error.norm() / example.delta.norm()))


def test_rounding_is_tried_on_the_very_frames(problem: Problem, example: AdversarialExample) -> None:
    rounded = (example.clip * 255).round().div(255).double()

    assert example.survives_rounding == (int(problem.logits_of(rounded).argmax()) != problem.label)


def test_the_clip_itself_is_not_adversarial(problem: Problem, flow: Tensor) -> None:
    assert confirm(problem, torch.zeros(problem.space.shape), flow, EXTRACTOR) is None


def test_a_point_inside_the_boundary_is_not_confirmed(problem: Problem, best: Tensor, flow: Tensor) -> None:
    assert confirm(problem, best * 0.9, flow, EXTRACTOR) is None


def test_a_point_beyond_the_limit_is_not_confirmed(problem: Problem, best: Tensor, flow: Tensor) -> None:
    norm = float(problem.space.norm(best, problem.norm))

    assert confirm(problem, best, flow, EXTRACTOR, limit=norm * 0.99) is None
