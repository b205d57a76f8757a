"""The paper's gradient by finite differences (Eqs. 8 to 10), and the search for an upper bound that goes along it."""

import json
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.engine.questions import FRAMES, HEIGHT, WIDTH, Recording, make_classifier, make_frames, make_specification
from verification.engine import Budget, CheckpointError, Norm, Specification, SpecificationError, UpperMethod, verify
from verification.engine.bounds.problem import Problem
from verification.engine.errors import Stopped
from verification.engine.flow import build_extractor
from verification.engine.network.architectures.frame_features import FrameFeatures
from verification.engine.search import FiniteDifferenceSearch
from verification.engine.search.pixel_changes import GREY_LEVEL, PixelChanges, PixelDifferences

FARNEBACK = build_extractor("farneback")
FRAME = 2


def never() -> None:
    """Lets the search work."""


def problem_in(norm: Norm = Norm.L2, **fields: object) -> Problem:
    return Problem.build(make_specification(1, norm=norm, **fields))


def loss_of(clip: Tensor, label: int) -> Tensor:
    """Cross entropy by the module itself, in float64."""
    logits = make_classifier(1).module.double()(clip.unsqueeze(0))
    return torch.nn.functional.cross_entropy(logits, torch.tensor([label]))


def changed(clip: Tensor, pixel: int, change: float) -> Tensor:
    """The clip with one pixel of `FRAME` changed."""
    copy = clip.clone()
    copy[FRAME, :, pixel // WIDTH, pixel % WIDTH] += change
    return copy


def measured(problem: Problem, clip: Tensor, pixels: Tensor, change: float = GREY_LEVEL) -> PixelChanges:
    differences = PixelDifferences(problem, FARNEBACK, change)
    return differences.measure(clip, differences.loss(clip), FRAME, pixels)


@pytest.mark.parametrize("norm", list(Norm))
def test_the_product_of_equations_9_and_10_telescopes(norm: Norm) -> None:
    problem, clip, network = problem_in(norm), make_frames(1).double(), make_classifier(1).module.double()
    assert isinstance(network, FrameFeatures)
    every = torch.arange(0, HEIGHT * WIDTH, 9)
    felt = measured(problem, clip, every).loss != 0  # the network does not look at all pixels: there Eq. 10 says 0 / 0
    pixels = every[felt][:6]
    found = measured(problem, clip, pixels)

    assert len(pixels) == 6
    torch.testing.assert_close(found.features_by_flow * found.loss_by_features, found.gradient)
    for pixel, gradient in zip(pixels.tolist(), found.gradient, strict=True):
        other = changed(clip, pixel, GREY_LEVEL)
        features = norm.of(network.sequence(other[None])[0, FRAME] - network.sequence(clip[None])[0, FRAME])
        flow = norm.of(FARNEBACK.extract(torch.stack([clip[FRAME], other[FRAME]])).double())
        equation_9 = features / flow
        equation_10 = (loss_of(other, problem.label) - loss_of(clip, problem.label)) / features
        torch.testing.assert_close(gradient, equation_9 * equation_10, rtol=1e-6, atol=1e-12)


def test_its_direction_is_that_of_central_differences() -> None:
    problem, clip = problem_in(), make_frames(1).double()
    pixels = torch.arange(0, HEIGHT * WIDTH, 3)
    found = measured(problem, clip, pixels)

    half = GREY_LEVEL / 2
    differences = [
        loss_of(changed(clip, pixel, half), problem.label) - loss_of(changed(clip, pixel, -half), problem.label)
        for pixel in pixels.tolist()
    ]
    central = torch.stack(differences) / found.flow

    assert float(torch.cosine_similarity(found.gradient, central, dim=0)) > 0.999


def test_a_white_pixel_goes_down_and_its_entry_keeps_its_meaning() -> None:
    problem, clip = problem_in(), make_frames(1).double()
    pixel = 150
    clip[FRAME, :, pixel // WIDTH, pixel % WIDTH] = 1.0
    found = measured(problem, clip, torch.tensor([pixel]))

    difference = loss_of(clip, problem.label) - loss_of(changed(clip, pixel, -GREY_LEVEL), problem.label)
    torch.testing.assert_close(found.loss[0], difference)
    assert float(found.frame[0]) == pytest.approx(math.sqrt(3) * GREY_LEVEL)


def test_where_the_extractor_sees_nothing_the_entry_is_zero() -> None:
    """DIS rounds to whole grey levels, and this change is far smaller."""
    problem, clip = problem_in(), make_frames(1).double()
    differences = PixelDifferences(problem, build_extractor("dis"), change=1e-9)

    found = differences.measure(clip, differences.loss(clip), FRAME, torch.arange(20))

    assert bool(found.loss.any()) and not found.flow.any()
    assert not found.gradient.any()


@pytest.fixture
def search() -> Callable[[], FiniteDifferenceSearch]:
    """Searches of one question, in which a gradient takes few batches."""
    problem = problem_in(flows=(2,))
    return lambda: FiniteDifferenceSearch(problem, FARNEBACK)


def test_what_is_found_changes_the_class_has_its_norm_and_gets_nearer(
    search: Callable[[], FiniteDifferenceSearch],
) -> None:
    looking, norms = search(), []
    for _ in range(30):
        candidate = looking.step(never, 1)
        if candidate is not None:
            norms.append(candidate.norm)
            assert int(looking.problem.logits(candidate.a).argmax()) != looking.problem.label
            delta = looking.problem.space.lift(candidate.a)
            assert float(Norm.L2.of(delta)) == pytest.approx(candidate.norm)
            assert torch.equal(delta[:, 0], delta[:, 1]), "one number for both components"
            assert delta[1].any() and not delta[0].any() and not delta[2].any()

    assert norms and norms == sorted(norms, reverse=True)


def test_going_on_ends_as_if_it_had_not_been_interrupted(search: Callable[[], FiniteDifferenceSearch]) -> None:
    whole, resumed = search(), search()
    whole.step(never, 48)
    for _ in range(16):
        resumed.step(never, 3)
        state, tensors = resumed.state()
        resumed = search()
        resumed.restore(json.loads(json.dumps(state)), tensors)

    assert whole.best is not None and resumed.best is not None
    assert torch.equal(whole.best, resumed.best)
    assert resumed.state()[0] == whole.state()[0]


def test_it_stops_between_batches_and_loses_nothing(search: Callable[[], FiniteDifferenceSearch]) -> None:
    whole, stopped = search(), search()
    whole.step(never, 12)
    calls = 0

    def stop_in_the_fourth() -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Stopped

    with pytest.raises(Stopped):
        stopped.step(stop_in_the_fourth, 1000)
    assert 0 < stopped.state()[0]["done"] < HEIGHT * WIDTH
    stopped.step(never, 9)

    assert stopped.state()[0] == whole.state()[0]


def test_nothing_beyond_the_limit_counts(search: Callable[[], FiniteDifferenceSearch]) -> None:
    looking = search()
    looking.step(never, 30)
    near = FiniteDifferenceSearch(looking.problem, FARNEBACK, limit=looking.norm * 1.01)
    nearer = FiniteDifferenceSearch(looking.problem, FARNEBACK, limit=looking.norm / 50)
    near.step(never, 30)
    nearer.step(never, 30)

    assert near.norm <= near.limit
    assert nearer.best is None


def test_only_pixels_that_may_move_are_changed() -> None:
    all_of_them, some = (FiniteDifferenceSearch(problem_in(space=s), FARNEBACK) for s in ("dense", "moving:0.9"))
    for looking in (all_of_them, some):
        while not looking.state()[0]["steps"]:
            looking.step(never, 1)

    assert all_of_them.state()[1]["origin"].shape == (FRAMES - 1, 2, HEIGHT, WIDTH)
    assert len(some.state()[1]["origin"]) == pytest.approx(0.1 * (FRAMES - 1) * HEIGHT * WIDTH, abs=2)


@pytest.mark.parametrize("space", ["translation", "blocks:1x2"])
def test_its_examples_are_confirmed_and_not_below_the_lower_bound(space: str) -> None:
    observer = Recording()
    asked = make_specification(1, space=space, upper_method=UpperMethod.FINITE_DIFFERENCE, budget=Budget(600, rounds=8))
    result = verify(asked, observer)

    assert result.adversarial is not None and result.upper is not None
    assert result.adversarial.label != result.label
    assert result.upper == pytest.approx(result.adversarial.distances[Norm.L2])
    assert int(make_classifier(1).module(result.adversarial.clip[None])[0].argmax()) == result.adversarial.label
    assert 0 < result.lower <= result.upper
    uppers = [point.upper for point in observer.points if point.upper is not None]
    assert uppers == sorted(uppers, reverse=True)


def test_a_run_goes_on_from_its_checkpoint_and_only_with_the_same_search() -> None:
    def asked(rounds: int, method: UpperMethod = UpperMethod.FINITE_DIFFERENCE) -> Specification:
        return make_specification(
            1, space="translation", flows=(1,), upper_method=method, budget=Budget(600, rounds=rounds)
        )

    whole = verify(asked(8))
    observer = Recording()
    verify(asked(3), observer)
    resumed = verify(asked(8), None, observer.checkpoints[-1])

    assert whole.upper is not None
    assert [(p.lower, p.upper) for p in resumed.history] == [(p.lower, p.upper) for p in whole.history]
    with pytest.raises(CheckpointError, match="another question"):
        verify(asked(8, UpperMethod.GRADIENT), None, observer.checkpoints[-1])


def test_a_network_that_feels_nothing_ends_the_search() -> None:
    specification = make_specification(
        1, flows=(1,), upper_method=UpperMethod.FINITE_DIFFERENCE, budget=Budget(seconds=600, rounds=6)
    )
    head = [m for m in specification.classifier.module.modules() if isinstance(m, torch.nn.Linear)][-1]
    head.weight.data.zero_()
    head.bias.data = torch.tensor([0.0, 1.0, 0.0])
    observer = Recording()

    result = verify(specification, observer)

    assert result.upper is None and result.lower > 0
    assert observer.events.count("The search for adversarial examples has nothing left to try.") == 1


def test_pixels_have_no_flow_to_take_differences_of() -> None:
    with pytest.raises(SpecificationError, match="choose a space of flows, such as dense"):
        make_specification(1, space="pixels", upper_method=UpperMethod.FINITE_DIFFERENCE)
    with pytest.raises(SpecificationError, match="choose another space than pixels"):
        FiniteDifferenceSearch(problem_in(space="pixels"), FARNEBACK)
