"""`manage.py verify --distortion`: what goes by that name, and what does not go with it."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.factories import make_classifier_file, make_video_file
from verification.engine.perturbation import distortion_spellings
from verification.management.commands.verify import Command


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A video and a classifier for it, as arguments."""
    classifier = make_classifier_file(tmp_path / "small.safetensors", frames=4, size=(16, 16))
    return [str(make_video_file(tmp_path / "street.avi")), "--classifier", str(classifier)]


def test_a_camera_that_shakes_is_a_translation(files: list[str], tmp_path: Path) -> None:
    output = io.StringIO()
    shaken = ["--distortion", "camera-shake", "--flows", "2", "--seconds", "30", "--rounds", "3"]
    call_command("verify", *files, *shaken, "--json", str(tmp_path / "result.json"), stdout=output)

    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["space"], result["flows"], result["distance_unit"]) == ("translation", [2], "px")
    assert "of the change of the clip's optical flow 2 (space translation)" in output.getvalue()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--distortion", "brightness", "--space", "dense"), "give --space or --distortion, not both"),
        (("--distortion", "dense"), "there is no distortion 'dense'; choose one of brightness"),
        (("--distortion", "fog"), "flip, or a space of flows or pixels with --space"),
        (("--distortion", "brightness+gamma"), "only distortions that are linear in their parameters can be added up"),
        (("--distortion", "brightness:frames=7"), "from 1 to 4; not '7'"),
        (("--distortion", "occlusion:size=99x1"), "from above 0x0 to 16x16 pixels, not 99x1"),
        (("--distortion", "brightness", "--flows", "1"), "leave the choice of flows at all"),
        (("--distortion", "gamma", "--radius", "0"), "it is a distance in doublings of a factor"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(files: list[str], arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError) as refusal:
        call_command("verify", *files, *arguments)
    assert refusal.value.returncode == 2
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_the_help_lists_every_distortion() -> None:
    text = Command().create_parser("manage.py", "verify").format_help()
    words = "".join(text.split())  # the help is broken into lines anywhere
    assert all(
        spelling in words
        for spelling in [*distortion_spellings(), "camera-shake,thesameas--spacetranslation", "flip,thesameas--mirror"]
    )
