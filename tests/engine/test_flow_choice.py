"""Whatever depends on the flow of a clip depends on the extractor that the question chose, and on its parameters."""

import json
from dataclasses import replace

import pytest
import torch

from tests.engine.questions import make_specification
from verification.engine import Budget, SpecificationError, verify
from verification.engine.bounds.problem import Problem
from verification.engine.certificate import Certificate, certify, check
from verification.engine.certificate.check import space_of
from verification.engine.checkpoint import fingerprint
from verification.engine.clip import VideoInfo
from verification.engine.document import result_document
from verification.engine.flow import EXTRACTORS, build_extractor
from verification.engine.flow.realisation import realisation_error
from verification.engine.game.cells import CellSearch
from verification.engine.perturbation.spaces import Moving

CHOICES = [*EXTRACTORS, "farneback:winsize=5", "horn-schunck:alpha=30"]


def moving_pixels(**fields: object) -> torch.Tensor:
    space = make_specification(1, space="moving:0.9", **fields).build_space()
    assert isinstance(space, Moving)
    return space.pixels


@pytest.mark.parametrize("text", CHOICES)
def test_the_flow_is_that_of_the_chosen_extractor(text: str) -> None:
    specification = make_specification(1, extractor=text)

    flow = specification.extract_flow()

    assert flow is not None and torch.equal(flow, build_extractor(text).extract(specification.clip.frames))


def test_what_moves_is_what_the_chosen_extractor_sees_moving() -> None:
    """Each choice is different from every other."""
    pixels = {text: tuple(moving_pixels(extractor=text).flatten().tolist()) for text in CHOICES}

    assert len(set(pixels.values())) == len(CHOICES)


@pytest.mark.parametrize("text", ["horn-schunck", "dis:delta=0"])
def test_the_realisation_error_is_that_of_the_chosen_extractor(text: str) -> None:
    specification = make_specification(1, extractor=text, space="translation", budget=Budget(600, rounds=6))
    example = verify(specification).adversarial
    flow = specification.extract_flow()
    assert example is not None and example.realisation is not None and flow is not None

    errors = {
        name: realisation_error(flow, example.delta, build_extractor(name).extract(example.clip))
        for name in (text, "farneback")
    }

    assert (example.realisation.rms, example.realisation.median) == errors[text] != errors["farneback"]


def test_the_spelling_is_made_the_one_that_is_recorded() -> None:
    specification = make_specification(1, extractor="farneback: winsize=21, levels=3")

    assert specification.extractor == "farneback:winsize=21"
    result = verify(replace(specification, budget=Budget(600, rounds=1)))
    document = result_document(specification, result, VideoInfo(12, 20.0, 16, 20, "0" * 64), {})
    assert document["extractor"] == "farneback:winsize=21"


def test_a_checkpoint_knows_its_extractor_however_it_is_written() -> None:
    plain = fingerprint(make_specification(1))

    assert fingerprint(make_specification(1, extractor="farneback:levels=3")) == plain
    assert fingerprint(make_specification(1, extractor="farneback:levels=2")) != plain
    assert fingerprint(make_specification(1, extractor="dis")) != plain


def test_a_certificate_is_checked_with_the_extractor_that_it_names() -> None:
    specification = make_specification(1, space="moving:0.99", flows=(1,), extractor="horn-schunck:levels=2,alpha=30")
    problem = Problem.build(specification)
    search = CellSearch(problem, limit=None)
    certificate = certify(problem, specification, search, 0.001, lambda: None)
    read = Certificate.parse(json.dumps({**certificate.content(), "digest": certificate.digest}))
    space = space_of(read, specification.clip)

    assert read.extractor == "horn-schunck:alpha=30,levels=2"
    assert isinstance(space, Moving) and torch.equal(space.pixels, specification.build_space().pixels)  # type: ignore[attr-defined]
    assert check(read, specification.clip, specification.classifier).valid


@pytest.mark.parametrize("text", ["magic", "farneback:levels=99"])
def test_a_certificate_with_a_senseless_extractor_is_invalid(text: str) -> None:
    specification = make_specification(1, space="translation", flows=(1,))
    problem = Problem.build(specification)
    certificate = certify(problem, specification, CellSearch(problem, limit=None), 0.001, lambda: None)

    verdict = check(replace(certificate, extractor=text).sealed(), specification.clip, specification.classifier)

    assert not verdict.valid
    assert "extractor" in verdict.reason


def test_frames_that_are_too_small_are_refused_before_anything_is_done() -> None:
    with pytest.raises(SpecificationError, match="at least 24 pixels a side, not 16x20"):
        make_specification(1, extractor="dis:patch_size=16")
