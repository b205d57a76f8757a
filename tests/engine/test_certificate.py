"""Certificates: valid ones hold against attacks, and whatever is changed in one, its clip or its classifier is noticed."""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.questions import make_specification
from verification.engine import Clip, Norm, Specification
from verification.engine.bounds.problem import Problem
from verification.engine.certificate import (
    Certificate,
    CertificateError,
    Outcome,
    Verdict,
    certify,
    check,
    check_form,
    clip_hash,
)
from verification.engine.certificate.cover import leaves_of
from verification.engine.game.cells import CellSearch
from verification.engine.network import Classifier

Document = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """A certificate, and what it is of."""

    specification: Specification
    problem: Problem
    lower: float
    certificate: Certificate

    @property
    def text(self) -> str:
        return json.dumps({**self.certificate.content(), "digest": self.certificate.digest})


def _made(norm: Norm, share: float) -> Made:
    """The search's bound after a few steps, in a space of two dimensions; or `share` of what an attack needs."""
    specification = make_specification(1, space="translation", flows=(1,), norm=norm)
    problem = Problem.build(specification)
    search = CellSearch(problem, limit=None)
    for _ in range(12):
        search.step(None, lambda: None)
    lower = max(search.lower, share)
    return Made(specification, problem, lower, certify(problem, specification, search, lower, lambda: None))


@pytest.fixture(scope="module")
def made() -> Made:
    return _made(Norm.L2, 8.2)


def _attack(problem: Problem, radius: float) -> float:
    """The least margin that gradient descent finds in the ball, from many places."""
    generator, least = torch.Generator().manual_seed(0), float("inf")
    for _ in range(24):
        a = torch.randn(problem.space.shape, generator=generator, dtype=torch.float64)
        for step in range(25):
            a = (a * (radius / max(problem.norm_of(a), radius if step else 1e-9))).requires_grad_()
            logits = problem.logits(a)
            others = torch.cat([logits[: problem.label], logits[problem.label + 1 :]])
            margin = logits[problem.label] - others.amax()
            least = min(least, margin.item())
            (slope,) = torch.autograd.grad(margin, a)
            a = (a - 0.1 * slope / slope.norm().clamp(min=1e-12)).detach()
    return least


@pytest.mark.parametrize(("norm", "share"), [(Norm.L1, 5.0), (Norm.L2, 8.2), (Norm.LINF, 0.3)])
def test_a_certificate_is_valid_and_no_attack_inside_succeeds(norm: Norm, share: float, tmp_path: Path) -> None:
    made = _made(norm, share)
    made.certificate.save(tmp_path / "bound.json")
    loaded = Certificate.load(tmp_path / "bound.json")
    assert loaded == made.certificate
    assert 0 < loaded.radius <= made.lower
    verdict = check(loaded, made.specification.clip, made.specification.classifier)
    assert verdict.valid, verdict.reason
    assert str(loaded.radius) in verdict.reason
    assert verdict.leaves >= 1
    assert _attack(made.problem, loaded.radius) > 0


def test_every_leaf_that_the_ball_touches_is_proven() -> None:
    specification = make_specification(0, space="translation", flows=(1,))
    problem = Problem.build(specification)
    made = certify(problem, specification, CellSearch(problem, limit=None), 50.0, lambda: None)
    lower, upper = leaves_of(made.splits, made.dimensions)
    nearest = torch.zeros_like(lower).clamp(lower, upper).view(-1, *problem.space.shape)
    distances = [problem.norm_of(point) for point in nearest]
    touched = [distance for distance in distances if distance <= made.radius]
    assert max(touched) > 0.6 * made.radius
    assert check(made, specification.clip, specification.classifier).leaves == len(touched)


def test_a_radius_that_reaches_an_adversarial_example_is_never_certified() -> None:
    specification = make_specification(1, space="translation", flows=(1,))
    problem = Problem.build(specification)
    nearest = 8.9  # the attack of `test_the_attack_of_these_tests_can_succeed`
    found = certify(problem, specification, CellSearch(problem, limit=None), 3 * nearest, lambda: None, most=60)
    assert 0 < found.radius < nearest
    assert check(found, specification.clip, specification.classifier).valid


def test_the_attack_of_these_tests_can_succeed(made: Made) -> None:
    assert _attack(made.problem, 8.9) < 0


def _set(*path: str | int, to: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


def _splits(change: Callable[[list[list[Any]]], object]) -> Callable[[Document], None]:
    def changed(document: Document) -> None:
        change(document["cover"]["splits"])

    return changed


def _swap(splits: list[list[Any]]) -> None:
    """The places of the first two splits that differ."""
    other = next(split for split in splits if split[2] != splits[0][2])
    splits[0][2], other[2] = other[2], splits[0][2]


def _radius(document: Document) -> None:
    document["radius"] *= 1.2


def _drop(document: Document) -> None:
    del document["extractor"]


#: What is changed, how, and a part of the reason that must be given although the digest has been computed again.
TAMPERED: dict[str, tuple[Callable[[Document], None], str]] = {
    "radius raised": (_radius, "is not proven"),
    "radius far too large": (_set("radius", to=1e9), "is not proven"),
    "radius negative": (_set("radius", to=-1.0), "above zero"),
    "radius zero": (_set("radius", to=0), "above zero"),
    "radius beyond all numbers": (_set("radius", to=10**400), "finite"),
    "radius a text": (_set("radius", to="1"), "finite"),
    "radius a truth value": (_set("radius", to=True), "finite"),
    "another class": (_set("label", to=0), "is not proven"),
    "a class that does not exist": (_set("label", to=3), "no class 3"),
    "a negative class": (_set("label", to=-1), "from 0"),
    "a class in parts": (_set("label", to=1.0), "whole number"),
    "a larger norm's ball": (_set("norm", to="linf"), "is not proven"),
    "an unknown norm": (_set("norm", to="l3"), "no norm"),
    "another space": (_set("space", to="blocks:1x2"), "dimensions"),
    "an unknown space": (_set("space", to="rotation"), "no space"),
    "a space of pixels": (_set("space", to="pixels"), "pixels"),
    "a dense space": (_set("space", to="dense"), "dimensions"),
    "another method": (_set("method", to="ball"), "not split"),
    "an unknown method": (_set("method", to="faith"), "no method"),
    "more flows": (_set("flows", to=[1, 2]), "dimensions"),
    "no flows": (_set("flows", to=[]), "choose at least one"),
    "a flow that does not exist": (_set("flows", to=[9]), "does not exist"),
    "a flow twice": (_set("flows", to=[1, 1]), "not in order"),
    "an unknown extractor": (_set("extractor", to="guess"), "extractor"),
    "another classifier": (_set("classifier", "sha256", to="0" * 64), "another classifier"),
    "no hash": (_set("classifier", "sha256", to="12"), "64 digits"),
    "another architecture": (_set("classifier", "architecture", to="c3d"), "c3d"),
    "another channel order": (_set("classifier", "input", "channels", to="bgr"), "input specification"),
    "another mean": (_set("classifier", "input", "mean", to=[0.5, 0.5, 0.5]), "input specification"),
    "an unknown input": (_set("classifier", "input", "order", to="hcwtn"), "makes no sense"),
    "another clip": (_set("clip", "sha256", to="f" * 64), "another clip"),
    "a mirrored clip": (_set("clip", "mirrored", to=True), "another clip"),
    "a clip that is said not to be mirrored": (_set("clip", "mirrored", to=False), "must be true"),
    "another imposition": (_set("imposition", to="advected"), "imposition"),
    "another version": (_set("format", to="flowverify.certificate/2"), "format"),
    "another rounding": (_set("rounding", to="none"), "rounding"),
    "something unknown": (_set("comment", to="trust me"), "not known"),
    "something missing": (_drop, "does not say"),
    "more dimensions": (_set("cover", "dimensions", to=3), "dimensions"),
    "no dimensions": (_set("cover", "dimensions", to=0), "from 1"),
    "all splits removed": (_splits(list.clear), "is not proven"),
    "the first split removed": (_splits(lambda splits: splits.pop(0)), ""),
    "the last split duplicated": (_splits(lambda splits: splits.append(list(splits[-1]))), "outside of its leaf"),
    "splits in another order": (_splits(list.reverse), ""),
    "places swapped": (_splits(_swap), ""),
    "a split outside of its leaf": (_splits(lambda splits: splits[-1].__setitem__(2, 1e6 * (-1) ** 2)), ""),
    "a split at an end that is no number": (_splits(lambda splits: splits[0].__setitem__(2, None)), "finite"),
    "a split in another dimension": (_splits(lambda splits: splits[0].__setitem__(1, 1 - splits[0][1])), ""),
    "a split in no dimension": (_splits(lambda splits: splits[0].__setitem__(1, 2)), "does not exist"),
    "a split of no leaf": (_splits(lambda splits: splits[0].__setitem__(0, 1)), "does not exist"),
    "a split of a negative leaf": (_splits(lambda splits: splits[0].__setitem__(0, -1)), "does not exist"),
    "a leaf in parts": (_splits(lambda splits: splits[0].__setitem__(0, 0.0)), "whole number"),
    "a split of two numbers": (_splits(lambda splits: splits[0].pop()), "a split must be"),
    "splits that are no list": (_set("cover", "splits", to={}), "a list"),
}


def _verdict(text: str, made: Made) -> Verdict:
    """Of a file with this text."""
    try:
        certificate = Certificate.parse(text)
    except CertificateError as error:
        return Verdict(Outcome.INVALID, str(error))
    return check(certificate, made.specification.clip, made.specification.classifier)


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_is_noticed_by_the_digest(what: str, made: Made) -> None:
    document = json.loads(made.text)
    TAMPERED[what][0](document)
    verdict = _verdict(json.dumps(document), made)
    assert verdict.outcome is Outcome.INVALID
    assert verdict.reason


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_is_noticed_where_the_digest_has_been_computed_again(what: str, made: Made) -> None:
    change, reason = TAMPERED[what]
    document = json.loads(made.text)
    change(document)
    try:
        text = json.dumps({**document, "digest": Certificate.parse(json.dumps(document)).sealed().digest})
    except CertificateError as error:
        assert reason in str(error)
        return
    verdict = _verdict(text, made)
    assert not verdict.valid
    assert verdict.reason
    assert reason in verdict.reason


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1],
        lambda text: text[: len(text) // 2],
        lambda text: text + "x",
        lambda text: text + text,
        lambda text: "",
        lambda text: "[]",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"label": 1', '"label": NaN'),
        lambda text: text.replace('"radius":', '"radius": Infinity, "was":'),
        lambda text: text.replace('"radius":', '"radius": 1e999, "was":'),
        lambda text: text.replace('"label": 1', '"label": 1, "label": 1'),
    ],
)
def test_a_file_that_is_no_certificate_is_refused_with_a_reason(damage: Callable[[str], str], made: Made) -> None:
    text = damage(made.text)
    assert text != made.text
    with pytest.raises(CertificateError, match=r"\w"):
        Certificate.parse(text)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bound.json"
    path.write_bytes(pickle.dumps({"format": "flowverify.certificate/1"}))
    with pytest.raises(CertificateError, match=r"cannot be read|not the JSON"):
        Certificate.load(path)
    with pytest.raises(CertificateError, match="cannot be read"):
        Certificate.load(tmp_path / "nothing.json")


def _with_frames(specification: Specification, frames: Tensor) -> Clip:
    return replace(specification.clip, frames=frames)


def test_another_clip_is_noticed_by_its_hash_and_otherwise_by_the_proof(made: Made) -> None:
    frames = made.specification.clip.frames.clone()
    frames[0, 0, 0, 0] += 1e-6
    near = check(made.certificate, _with_frames(made.specification, frames), made.specification.classifier)
    assert "another clip" in near.reason
    other = _with_frames(made.specification, make_specification(2).clip.frames)
    forged = replace(made.certificate, clip=clip_hash(other.frames)).sealed()
    verdict = check(forged, other, made.specification.classifier)
    assert verdict.outcome is Outcome.INVALID
    assert "is not proven" in verdict.reason


@pytest.mark.parametrize("value", [1.5, -0.5, float("nan"), float("inf")])
def test_frames_that_are_no_pictures_are_refused(value: float, made: Made) -> None:
    frames = made.specification.clip.frames.clone()
    frames[0, 0, 0, 0] = value
    forged = replace(made.certificate, clip=clip_hash(frames)).sealed()
    verdict = check(forged, _with_frames(made.specification, frames), made.specification.classifier)
    assert "between 0 and 1" in verdict.reason


def _changed(classifier: Classifier, change: Callable[[Tensor], Tensor]) -> Classifier:
    """The classifier with other weights in its head, that pretends to be the same file."""
    specification = make_specification(1)
    module = specification.classifier.module
    head = [part for part in module.modules() if isinstance(part, torch.nn.Linear)][-1]
    head.bias.data = change(head.bias.data)
    return replace(classifier, module=module)


@pytest.mark.parametrize("change", [lambda bias: bias - torch.tensor([0.0, 0.03, 0.0]), lambda bias: bias * torch.nan])
def test_other_weights_under_the_same_name_are_noticed_by_the_proof(
    change: Callable[[Tensor], Tensor], made: Made
) -> None:
    forged = _changed(made.specification.classifier, change)
    verdict = check(made.certificate, made.specification.clip, forged)
    assert verdict.outcome is Outcome.INVALID
    assert verdict.reason


def test_without_clip_and_classifier_nothing_is_called_valid(made: Made) -> None:
    verdict = check_form(made.certificate)
    assert not verdict.valid
    assert verdict.outcome is Outcome.UNKNOWN
    assert "not checked" in verdict.reason
    assert check_form(replace(made.certificate, radius=1.0)).outcome is Outcome.INVALID
    broken = replace(made.certificate, splits=made.certificate.splits[1:]).sealed()
    assert check_form(broken).outcome is Outcome.INVALID


def test_nothing_proven_makes_no_certificate(made: Made) -> None:
    search = CellSearch(made.problem, limit=None)
    with pytest.raises(CertificateError, match="nothing has been proven"):
        certify(made.problem, made.specification, search, 0.0, lambda: None)
