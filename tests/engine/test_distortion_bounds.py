"""Natural distortions in the game: bounds, examples and certificates of small questions."""

import dataclasses
import math
from typing import Any

import pytest
import torch

from tests.engine.questions import Recording, make_specification
from verification.engine import Budget, LowerMethod, UpperMethod, verify
from verification.engine.bounds.families import DistortedClips, ParameterBox
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.stem import Stem
from verification.engine.certificate.check import Outcome, check
from verification.engine.certificate.distorted import Distorted
from verification.engine.certificate.document import Certificate
from verification.engine.errors import SpecificationError
from verification.engine.perturbation import Distortion, Norm
from verification.engine.relaxation import Rounding
from verification.engine.result import Result, Status
from verification.engine.specification import Specification

ONE = (
    "brightness",
    "brightness:frames=2",
    "contrast",
    "gamma",
    "occlusion:size=8x10",
    "occlusion-size:at=8x10",
    "rotation",
    "speed",
)
ANYWHERE = "occlusion:size=6x6,at=anywhere"


class Certifying(Recording):
    """Also keeps the certificate."""

    def certificate(self, certificate: Certificate) -> None:
        self.written = certificate


def asked(space: str, **fields: object) -> Specification:
    settings: dict[str, Any] = {"budget": Budget(600, rounds=60), **fields}
    return make_specification(1, space=space, **settings)


def answered(space: str, **fields: object) -> tuple[Specification, Result, Certificate]:
    specification, observer = asked(space, **fields), Certifying()
    result = verify(specification, observer, certified=True)
    return specification, result, observer.written


def problem_of(space: str) -> tuple[Problem, Distortion]:
    problem = Problem.build(asked(space))
    assert isinstance(problem.space, Distortion)
    return problem, problem.space


def within(space: Distortion, radius: float, count: int, norm: Norm = Norm.L2) -> torch.Tensor:
    """(count, K): random parameters within a radius, many of them at its edge."""
    generator = torch.Generator().manual_seed(3)
    least, most = space.domain()
    counts = space.scales(norm) > 0
    points = least + torch.rand((count, len(least)), generator=generator, dtype=torch.float64) * (most - least)
    sizes = torch.rand((count, 1), generator=generator, dtype=torch.float64) ** 0.2 * radius
    norms = torch.linalg.vector_norm(torch.where(counts, points, 0.0), ord=norm.p, dim=1, keepdim=True)
    return torch.where(counts, points / norms * sizes, points).clamp(least, most)


@pytest.mark.parametrize("space", ONE)
def test_one_parameter_converges_and_no_distortion_within_it_changes_the_class(space: str) -> None:
    specification, result, certificate = answered(space)
    whole = Problem.build(specification).farthest
    assert result.status is Status.CONVERGED or (result.status is Status.CERTIFIED and result.lower == whole)
    problem, family = problem_of(space)
    assert result.lower > 0
    for point in within(family, result.lower, 400):
        assert int(problem.logits(point).argmax()) == problem.label
    assert certificate.radius >= 0.9 * result.lower
    assert check(certificate, specification.clip, specification.classifier).outcome is Outcome.VALID


@pytest.mark.parametrize(
    ("space", "norm"),
    [("scale", Norm.L2), (ANYWHERE, Norm.L2), *(("brightness+contrast", norm) for norm in Norm)],
    ids=str,
)
def test_no_distortion_within_what_is_proven_so_far_changes_the_class(space: str, norm: Norm) -> None:
    specification, result, certificate = answered(space, norm=norm, budget=Budget(600, rounds=20))
    problem, family = problem_of(space)
    assert result.lower > 0
    for point in within(family, result.lower, 400, norm):
        assert int(problem.logits(point).argmax()) == problem.label
    assert check(certificate, specification.clip, specification.classifier).outcome is Outcome.VALID


@pytest.mark.parametrize("norm", list(Norm))
def test_examples_are_found_beside_the_axes(norm: Norm) -> None:
    _, result, _ = answered("brightness+contrast", norm=norm, budget=Budget(600, rounds=20))
    problem, family = problem_of("brightness+contrast")
    assert result.adversarial is not None
    assert result.upper is not None
    assert result.adversarial.parameters is not None
    found = torch.tensor(list(result.adversarial.parameters.values()), dtype=torch.float64)
    assert int(problem.logits(found).argmax()) != problem.label
    assert float(family.norm(found, norm)) == pytest.approx(result.upper)
    assert norm is Norm.L1 or bool((found != 0).all())  # in L1 an axis is often best


@pytest.mark.parametrize("space", [*ONE, ANYWHERE, "brightness+contrast"])
def test_no_clip_leaves_its_enclosure(space: str) -> None:
    problem, family = problem_of(space)
    clips = DistortedClips(problem.frames, family, Stem.of(problem.graph), Rounding(rigorous=True))
    checked = Distorted(problem.frames.double(), family)
    generator = torch.Generator().manual_seed(5)
    least, most = family.domain()
    for width in (1.0, 0.2, 0.03, 0.001):
        for _ in range(4):
            ends = least + torch.rand((2, len(least)), generator=generator, dtype=torch.float64) * (most - least)
            low, high = ends.amin(0), ends.amin(0) + width * (ends.amax(0) - ends.amin(0))
            box = ParameterBox(low, high)
            enclosure = clips.clip(box, lambda: None)
            form = checked.form(low[None], high[None])
            for _ in range(25):
                share = torch.rand(len(low), generator=generator, dtype=torch.float64)
                point = low + share * (high - low)
                clip = family.perturbed(problem.frames.double(), point)
                z = (point - box.centre) / box.half
                for centre, slopes, error in (
                    (enclosure.centre[0], enclosure.slopes[:, 0], enclosure.error[0]),
                    (form.centre[0, 0], form.slopes[0, :, 0], form.error[0, 0]),
                ):
                    line = centre + torch.einsum("k,k...->...", z, slopes)
                    assert bool(((clip - line).abs() <= error + 1e-12).all())


def test_enclosures_of_brightness_are_exact_away_from_black_and_white() -> None:
    problem, family = problem_of("brightness")
    clips = DistortedClips(problem.frames, family, Stem.of(problem.graph), Rounding(rigorous=True))
    room = float(torch.minimum(problem.frames, 1 - problem.frames).min()) / 2
    box = ParameterBox(*(torch.tensor([end], dtype=torch.float64) for end in (-room, room)))
    assert float(clips.clip(box, lambda: None).error.max()) < 1e-10


def test_an_example_is_recorded_with_its_parameters_and_grey_levels() -> None:
    _, result, _ = answered("brightness")
    example = result.adversarial
    assert example is not None
    assert example.parameters is not None
    assert abs(example.parameters["brightness"]) == pytest.approx(example.distances[Norm.L2])
    change = example.clip - asked("brightness").clip.frames
    assert example.grey_levels[Norm.L2] == pytest.approx(255 * float(change.double().norm()), rel=1e-5)
    assert example.delta.shape == example.clip.shape
    assert example.realisation is None
    assert result.lower_grey_levels is not None
    assert 0 < result.lower_grey_levels < example.grey_levels[Norm.L2]


def test_all_of_a_family_that_is_safe_ends_the_run() -> None:
    _, result, certificate = answered("occlusion:size=1x1,at=0x0")
    assert result.status is Status.CERTIFIED
    assert result.lower == certificate.radius == 1.0
    assert result.upper is None


def test_going_on_later_is_the_same_run() -> None:
    space = "occlusion-size:at=8x10"
    whole = Recording()
    straight = verify(asked(space, budget=Budget(600, rounds=24, tolerance=0.0)), whole)
    first, rest = Recording(), Recording()
    verify(asked(space, budget=Budget(600, rounds=11, tolerance=0.0)), first)
    resumed = verify(asked(space, budget=Budget(600, rounds=24, tolerance=0.0)), rest, first.checkpoints[-1])
    assert resumed.lower == straight.lower
    assert resumed.upper == straight.upper


def test_a_query_is_answered() -> None:
    _, result, _ = answered("brightness")
    assert result.upper is not None
    safe = verify(asked("brightness", radius=result.lower / 2, query=True))
    unsafe = verify(asked("brightness", radius=result.upper * 1.5, query=True))
    assert (safe.status, unsafe.status) == (Status.CERTIFIED, Status.REFUTED)


@pytest.mark.parametrize(
    "change",
    [
        {"radius": 2.0},
        {"space": "brightness+contrast"},
        {"space": "brightness:frames=9"},
        {"space": "dense"},
        {"label": 0},
        {"splits": ()},
        {"flows": (1,)},
        {"dimensions": 2},
    ],
)
def test_a_changed_certificate_is_not_valid(change: dict[str, object]) -> None:
    specification, _, certificate = answered("brightness")
    changed = dataclasses.replace(certificate, **change).sealed()  # type: ignore[arg-type]
    verdict = check(changed, specification.clip, specification.classifier)
    assert verdict.outcome is Outcome.INVALID


@pytest.mark.parametrize(
    "fields",
    [
        {"lower_method": LowerMethod.GRID},
        {"lower_method": LowerMethod.ROOT},
        {"upper_method": UpperMethod.FINITE_DIFFERENCE},
        {"flows": (1,)},
    ],
)
def test_what_is_for_flows_only_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(SpecificationError):
        asked("brightness", **fields)


def test_brightness_cells_agree_with_a_scan() -> None:
    """The exact radius, found by a fine scan, lies between both bounds."""
    _, result, _ = answered("brightness")
    problem, _ = problem_of("brightness")
    changed = [
        abs(at)
        for at in torch.linspace(-1, 1, 4001, dtype=torch.float64).tolist()
        if int(problem.logits(torch.tensor([at], dtype=torch.float64)).argmax()) != problem.label
    ]
    nearest = min(changed, default=math.inf)
    assert result.lower <= nearest
    assert result.upper is not None
    assert result.upper <= nearest + 1e-3
