"""Certificates of mirrored clips: they say so, the checker mirrors the video's clip, and whatever is changed is noticed."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.engine.questions import make_specification
from verification.engine import Specification
from verification.engine.bounds.problem import Problem
from verification.engine.certificate import Certificate, CertificateError, Outcome, certify, check, check_form

TEXTURE = 0


def mirrored(**fields: Any) -> Specification:
    plain = make_specification(TEXTURE, **fields)
    return replace(plain, clip=plain.clip.oriented(mirrored=True))


def _text(certificate: Certificate) -> str:
    return json.dumps({**certificate.content(), "digest": certificate.digest})


def certified(specification: Specification) -> Certificate:
    """Of one ball, in a space that depends on the flow where the specification says so."""
    return certify(Problem.build(specification), specification, None, 0.1, lambda: None)


@pytest.mark.parametrize("space", ["translation", "moving:0.5"])
def test_a_certificate_of_a_mirrored_clip_is_valid_for_the_clip_of_the_video(space: str) -> None:
    image, video = mirrored(space=space), make_specification(TEXTURE).clip
    made = Certificate.parse(_text(certified(image)))
    assert made.content()["clip"]["mirrored"] is True
    verdict = check(made, video, image.classifier)
    assert verdict.valid and verdict.reason.endswith("of the clip mirrored left to right")
    assert check(made, image.clip, image.classifier).valid  # whoever has mirrored it already
    # The mirror image of the mirror image is not what was certified.
    wrong = check(made, replace(video, frames=image.clip.frames), image.classifier)
    assert wrong.outcome is Outcome.INVALID and "another clip" in wrong.reason


@pytest.mark.parametrize("flag", [True, False])
def test_a_certificate_whose_flag_was_changed_is_invalid(flag: bool) -> None:
    specification = mirrored(space="translation") if flag else make_specification(TEXTURE, space="translation")
    video, made = make_specification(TEXTURE).clip, certified(specification)
    assert check(made, video, specification.classifier).valid

    changed = replace(made, mirrored=not flag)

    assert check(changed, video, specification.classifier).outcome is Outcome.INVALID
    assert check_form(changed).outcome is Outcome.INVALID
    resealed = check(changed.sealed(), video, specification.classifier)
    assert resealed.outcome is Outcome.INVALID and "another clip" in resealed.reason


@pytest.mark.parametrize("value", ["false", "1", "null", '"true"', "[]"])
def test_there_is_one_spelling_of_the_flag(value: str) -> None:
    text = _text(certified(mirrored(space="translation")))
    assert '"mirrored": true' in text
    with pytest.raises(CertificateError, match="'mirrored' must be true, or be left out"):
        Certificate.parse(text.replace('"mirrored": true', f'"mirrored": {value}'))


def test_certificates_from_before_clips_were_mirrored_stay_as_they_were() -> None:
    made = certified(make_specification(TEXTURE, space="translation"))
    assert made.content()["format"] == "flowverify.certificate/1"
    assert made.content()["clip"].keys() == {"sha256"}
    assert Certificate.parse(_text(made)) == made and made.intact
