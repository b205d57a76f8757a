"""`manage.py check_certificate` as people type it: exit codes, and one line that says why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.factories import make_classifier_file, make_video_file
from verification.engine import Norm, Specification, load_classifier, read_clip
from verification.engine.bounds.problem import Problem
from verification.engine.certificate import Certificate, certify
from verification.engine.game.cells import CellSearch

FRAMES, HEIGHT, WIDTH = 4, 16, 16


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """A video, a classifier, and the certificate of a lower bound for both."""
    video, file = make_video_file(tmp_path / "street.avi"), make_classifier_file(tmp_path / "small.safetensors")
    classifier = load_classifier(file)
    clip = read_clip(video, frames=FRAMES, size=(HEIGHT, WIDTH))
    specification = Specification(clip, classifier, Norm.L2, "translation", (2,))
    problem = Problem.build(specification)
    search = CellSearch(problem, limit=None)
    while not search.lower:
        search.step(None, lambda: None)
    made = certify(problem, specification, search, search.lower, lambda: None)
    made.save(tmp_path / "bound.json")
    return {"video": video, "classifier": file, "certificate": tmp_path / "bound.json", "folder": tmp_path}


def _run(places: dict[str, Path], *arguments: str) -> int:
    """The exit code; on failure there is one line that says what is wrong."""
    try:
        call_command("check_certificate", *[argument.format(**places) for argument in arguments])
    except CommandError as error:
        assert str(error)
        assert "\n" not in str(error)
        return error.returncode
    return 0


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


_ALL = ("{certificate}", "--video", "{video}", "--classifier", "{classifier}")


def test_a_valid_certificate_is_proven_again(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(places, *_ALL) == 0
    said = capsys.readouterr().out
    assert said.startswith("valid: every perturbation of translation (flows 2)")
    assert "leaves proven" in said


def test_what_is_not_proven_is_invalid(places: dict[str, Path]) -> None:
    made = Certificate.load(places["certificate"])
    _edit(places["certificate"], lambda document: document.update(radius=2 * made.radius))
    assert _run(places, *_ALL) == 1
    assert _run(places, "{certificate}") == 1


def test_another_clip_and_another_classifier_are_invalid(places: dict[str, Path]) -> None:
    places["other"] = make_video_file(places["folder"] / "other.avi", seed=1)
    places["second"] = make_classifier_file(places["folder"] / "second.safetensors", seed=1)
    assert _run(places, "{certificate}", "--video", "{other}", "--classifier", "{classifier}") == 1
    assert _run(places, "{certificate}", "--video", "{video}", "--classifier", "{second}") == 1
    assert _run(places, *_ALL, "--first", "3") == 1


def test_without_clip_and_classifier_nothing_is_called_valid(places: dict[str, Path]) -> None:
    assert _run(places, "{certificate}") == 2
    with pytest.raises(CommandError, match=r"cannot check: well-formed.*not checked"):
        call_command("check_certificate", str(places["certificate"]), "--video", str(places["video"]))


def test_what_cannot_be_read_is_said(places: dict[str, Path]) -> None:
    assert _run(places, "{folder}/nothing.json", "--video", "{video}", "--classifier", "{classifier}") == 2
    assert _run(places, "{folder}", "--video", "{video}", "--classifier", "{classifier}") == 2
    assert _run(places, "{video}", "--video", "{video}", "--classifier", "{classifier}") == 2
    assert _run(places, "{certificate}", "--video", "{folder}/nothing.avi", "--classifier", "{classifier}") == 2
    assert _run(places, "{certificate}", "--video", "{video}", "--classifier", "{video}") == 2
    _edit(places["certificate"], lambda document: document.update(format="flowverify.certificate/9"))
    assert _run(places, *_ALL) == 2
