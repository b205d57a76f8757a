"""`manage.py verify` as people type it: exit codes, one line for bad input, the JSON and the folder."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from django.conf import settings
from django.core.management import CommandError, call_command

from tests.factories import make_classifier_file, make_video_file
from verification.engine import load_classifier, read_clip
from verification.engine.flow import build_extractor
from verification.engine.network import save_classifier
from verification.engine.network.inspect import inspect_file

KEYS = {
    "schema", "video", "classifier", "label", "norm", "space", "lower", "lower_guarantee", "upper", "upper_label",
    "status", "seconds", "history",
}  # fmt: skip
FRAMES, HEIGHT, WIDTH = 4, 16, 16


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video_file(tmp_path / "street.avi")


@pytest.fixture
def classifier(video: Path, tmp_path: Path) -> Path:
    """Random weights, with biases that put the video's clip near a boundary, so that little is needed to fool it."""
    plain = load_classifier(make_classifier_file(tmp_path / "plain.safetensors", frames=FRAMES, size=(HEIGHT, WIDTH)))
    clip = read_clip(video, frames=FRAMES, size=(HEIGHT, WIDTH))
    head = [module for module in plain.module.modules() if isinstance(module, torch.nn.Linear)][-1]
    head.bias.data += torch.tensor([0.0, 1e-4, -1e-4]) - plain.module(clip.frames.unsqueeze(0))[0]
    config = json.loads(inspect_file(tmp_path / "plain.safetensors").metadata["config"])
    save_classifier(
        tmp_path / "small.safetensors",
        plain.module,
        architecture=plain.architecture,
        config=config,
        labels=plain.labels,
        input=plain.input,
    )
    return tmp_path / "small.safetensors"


def start(*arguments: object, home: Path) -> subprocess.Popen[str]:
    """The command in a process of its own, without a database, a broker or a terminal."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "flowverify.settings",
        "FLOWVERIFY_HOME": str(home),
        "DATABASE_URL": "sqlite:////nowhere/at/all.sqlite3",
        "OMP_NUM_THREADS": "1",
    }
    manage = settings.BASE_DIR / "manage.py"
    words = [sys.executable, str(manage), "verify", *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)."""
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    return lambda *arguments: finish(start(*arguments, home=tmp_path / "home"))


def test_bounds_are_printed_and_written(
    run: Callable[..., tuple[int, str, str]], video: Path, classifier: Path, tmp_path: Path
) -> None:
    target, folder = tmp_path / "result.json", tmp_path / "pictures"

    code, output, errors = run(video, "--classifier", classifier, "--seconds", 4, "--json", target, "--out", folder)

    assert (code, errors) == (0, "")
    assert "street.avi is classified as" in output and "Ended because" in output
    document = json.loads(target.read_text())
    assert document.keys() >= KEYS
    assert document["schema"] == "flowverify.result/1"
    assert document["video"]["frames"] == 12 and document["video"]["size"] == [48, 64]
    assert len(document["video"]["sha256"]) == len(document["classifier"]["sha256"]) == 64
    assert document["clip"]["mirrored"] is False and document["pair_agrees"] is None
    assert document["lower_guarantee"] == "sound"
    assert [point["number"] for point in document["history"]] == list(range(1, len(document["history"]) + 1))
    assert document["history"][-1]["lower"] == document["lower"]
    assert json.loads((folder / "result.json").read_text()) == document
    check_folder(folder, document, classifier)


def check_folder(folder: Path, document: dict[str, Any], classifier: Path) -> None:
    """The files are whole and agree with the document."""
    for picture in folder.glob("*-[0-9]*.png"):
        pixels = cv2.imread(str(picture))
        side = 16 if "arrows" in picture.name else 1  # drawn on enlarged frames
        assert pixels is not None and pixels.shape == (side * HEIGHT, side * WIDTH, 3)
    assert len(list(folder.glob("flow-magnitude-*.png"))) == FRAMES - 1
    assert document["upper"] is not None, "the small classifier is easily fooled"
    assert len(list(folder.glob("difference-direction-*.png"))) == FRAMES - 1
    for name in ("flow", "perturbed", "difference"):
        assert len(list(folder.glob(f"{name}-arrows-*.png"))) == FRAMES - 1
    for archive in ("original-flows-flo.zip", "perturbed-flows-flo.zip"):
        with zipfile.ZipFile(folder / archive) as flows:
            assert len(flows.namelist()) == FRAMES - 1
    assert (folder / "comparison.webm").stat().st_size > 0
    still = cv2.imread(str(folder / "comparison.png"))
    assert still is not None and still.shape[1] > 3 * still.shape[0] / 2, "three pictures in a row"
    check_figures(document)
    flows = np.load(folder / "adversarial-flows.npz")
    assert flows["delta"].shape == flows["flow"].shape == (FRAMES - 1, HEIGHT, WIDTH, 2)
    assert np.linalg.norm(flows["delta"]) == pytest.approx(document["upper"])
    # In float64, as the example was confirmed: it may lie closer to the boundary than float32 can tell.
    frames = torch.from_numpy(np.load(folder / "clip.npz")["frames"]).double()
    logits = load_classifier(classifier).module.double()(frames.unsqueeze(0))[0]
    assert int(logits.argmax()) == document["upper_label"] != document["label"]


def test_the_papers_finite_differences_find_an_example_too(
    run: Callable[..., tuple[int, str, str]], video: Path, classifier: Path, tmp_path: Path
) -> None:
    target = tmp_path / "result.json"
    question = ("--space", "translation", "--upper", "finite-difference", "--rounds", 4, "--seconds", 600)

    code, _, errors = run(video, "--classifier", classifier, *question, "--json", target)

    assert (code, errors) == (0, "")
    document = json.loads(target.read_text())
    assert document["upper_method"] == "finite-difference"
    assert document["upper_label"] != document["label"]
    assert 0 < document["lower"] <= document["upper"]


def check_figures(document: dict[str, Any]) -> None:
    """What is recorded with an example."""
    assert document["upper_distances"].keys() == {"l1", "l2", "linf"}
    assert sum(document["upper_shares"]) == pytest.approx(1) and len(document["upper_shares"]) == FRAMES - 1
    quality = document["upper_quality"]
    assert 1 <= quality["changed"] <= FRAMES - 1
    assert 0 < quality["psnr_worst"] <= quality["psnr"] and -1 < quality["ssim_worst"] <= quality["ssim"] <= 1


def test_only_examples_that_survive_rounding_count_where_that_is_asked_for(
    run: Callable[..., tuple[int, str, str]], video: Path, classifier: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"

    # The folder has two names.
    code, output, errors = run(video, "--classifier", classifier, "--eight-bit", "--seconds", 6, "--artifacts", folder)

    assert (code, errors) == (0, "")
    document = json.loads((folder / "result.json").read_text())
    assert document["eight_bit"] is True
    assert document["upper"] is not None, "the small classifier is easily fooled"
    assert document["upper_survives_rounding"] is True and "also after the frames are rounded to 8 bits" in output
    # The very film is a video that the class has changed of.
    loaded = load_classifier(classifier)
    clip = read_clip(folder / "clip-8-bit.mkv", frames=FRAMES, size=(HEIGHT, WIDTH))
    logits = loaded.module.double()(clip.frames.double().unsqueeze(0))[0]
    assert int(logits.argmax()) == document["upper_label"] != document["label"]


def test_the_mirrored_clip_is_asked_about_and_its_certificate_says_so(
    run: Callable[..., tuple[int, str, str]],
    video: Path,
    classifier: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, certificate = tmp_path / "kept", tmp_path / "certificate.json"
    question = ("--classifier", classifier, "--mirror", "--space", "translation", "--flows", "2", "--seconds", 3)

    code, output, errors = run(video, *question, "--out", folder, "--certificate", certificate)

    assert (code, errors) == (0, "")
    loaded = load_classifier(classifier)
    given = read_clip(video, frames=FRAMES, size=(HEIGHT, WIDTH)).frames
    labels = [int(loaded.module(frames.unsqueeze(0))[0].argmax()) for frames in (given, given.flip(-1))]
    names = [loaded.labels[label] for label in labels]
    document = json.loads((folder / "result.json").read_text())
    assert document["clip"]["mirrored"] is True
    assert [document["given_label"], document["label"]] == labels
    assert [document["given_label_name"], document["label_name"]] == names
    assert document["pair_agrees"] is (labels[0] == labels[1])
    assert (
        f"The clip is mirrored left to right. Given: {names[0]}, " in output and f"; mirrored: {names[1]}, " in output
    )
    shown = cv2.imread(str(folder / "frame-001.png"))
    assert shown is not None
    np.testing.assert_allclose(shown[..., ::-1], 255 * given.flip(-1)[0].permute(1, 2, 0).numpy(), atol=0.51)

    files = ("--video", str(video), "--classifier", str(classifier))
    call_command("check_certificate", str(certificate), *files)
    assert "of the clip mirrored left to right" in capsys.readouterr().out
    told = json.loads(certificate.read_text())
    assert told["clip"].pop("mirrored") is True
    certificate.write_text(json.dumps(told))
    with pytest.raises(CommandError, match="invalid: the digest"):
        call_command("check_certificate", str(certificate), *files)


def test_pixels_are_perturbed_and_measured_in_their_values(
    run: Callable[..., tuple[int, str, str]], video: Path, classifier: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    question = ("--classifier", classifier, "--space", "pixels", "--norm", "linf", "--seconds", 4, "--out", folder)

    code, output, errors = run(video, *question)

    assert (code, errors) == (0, "")
    assert "norm, in pixel values from 0 to 1" in output and "the change of the clip's pixels (space pixels)" in output
    assert output.count("grey levels)") >= 3 and " px" not in output and "flow" not in output
    document = json.loads((folder / "result.json").read_text())
    assert (document["space"], document["distance_unit"]) == ("pixels", "value")
    assert 0 < document["lower"] <= document["upper"] and document["upper_realisation"] is None
    found = np.load(folder / "clip.npz")
    assert found["delta"].shape == found["frames"].shape == (FRAMES, 3, HEIGHT, WIDTH)
    assert np.abs(found["delta"]).max() == pytest.approx(document["upper"])
    assert found["frames"].min() >= 0 and found["frames"].max() <= 1
    assert len(list(folder.glob("frame-difference-*.png"))) == FRAMES
    assert not list(folder.glob("*flow*")) and not list(folder.glob("*magnitude*"))


def test_the_flow_is_extracted_as_it_was_asked(
    run: Callable[..., tuple[int, str, str]], video: Path, classifier: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    asked = ("--flow", "horn-schunck:warps=2, alpha=10", "--rounds", 3, "--out", folder)

    code, _, errors = run(video, "--classifier", classifier, *asked)

    assert (code, errors) == (0, "")
    document = json.loads((folder / "result.json").read_text())
    assert document["extractor"] == "horn-schunck:warps=2"
    clip = read_clip(video, frames=FRAMES, size=(HEIGHT, WIDTH))
    flow = build_extractor("horn-schunck:warps=2").extract(clip.frames).permute(0, 2, 3, 1).numpy()
    assert document["upper"] is not None, "the small classifier is easily fooled"
    np.testing.assert_array_equal(np.load(folder / "adversarial-flows.npz")["flow"], flow)


def test_ctrl_c_ends_with_the_bounds_so_far(video: Path, classifier: Path, tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    process = start(video, "--classifier", classifier, "--seconds", 600, "--json", target, home=tmp_path / "home")
    wait_until_busy(process)
    process.send_signal(signal.SIGINT)

    code, output, errors = finish(process)

    assert (code, errors) == (0, "")
    assert "Stopped after" in output
    assert json.loads(target.read_text())["status"] == "stopped"


def wait_until_busy(process: subprocess.Popen[str]) -> None:
    """Until the command itself answers signals: Python begins with its own handler for Ctrl-C."""
    status = Path(f"/proc/{process.pid}/status")
    for _ in range(600):
        caught = int(next(line for line in status.read_text().splitlines() if line.startswith("SigCgt")).split()[1], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.1)
    raise AssertionError("the command never began to verify")


@pytest.mark.parametrize(
    "arguments",
    [("nothing.mp4", "--classifier", "nothing.safetensors"), ("--norm", "l7"), ("--upper", "guess"), ("--unknown",)],
)
def test_bad_input_is_one_line_and_exit_code_two(
    run: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...]
) -> None:
    code, output, errors = run(*arguments)

    assert (code, output) == (2, "")
    assert errors.count("\n") == 1 and "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a video file, or use --demo"),
        (("{video}",), "name the classifier's file with --classifier"),
        (("{video}", "--demo"), "not both"),
        (("{missing}", "--classifier", "{classifier}"), "no file missing.avi"),
        (("{classifier}", "--classifier", "{classifier}"), "not a video that can be read"),
        (("{video}", "--classifier", "{video}"), "street.avi"),
        (("{video}", "--classifier", "{classifier}", "--radius", "0"), "radius must be above zero"),
        (("{video}", "--classifier", "{classifier}", "--radius", "-1"), "radius must be above zero"),
        (("{video}", "--classifier", "{classifier}", "--seconds", "0"), "above zero"),
        (("{video}", "--classifier", "{classifier}", "--seed", "-1"), "seed must be a whole number"),
        (("{video}", "--classifier", "{classifier}", "--seed", str(2**64)), "seed must be a whole number"),
        (("{video}", "--classifier", "{classifier}", "--flows", "0,9"), "flows 1 to 3"),
        (("{video}", "--classifier", "{classifier}", "--flows", "two"), "for example 1,3"),
        (("{video}", "--classifier", "{classifier}", "--space", "pixels", "--flows", "1"), "leave the choice of flows"),
        (
            ("{video}", "--classifier", "{classifier}", "--space", "pixels", "--upper", "finite-difference"),
            "choose a space of flows, such as dense",
        ),
        (("{video}", "--classifier", "{classifier}", "--flow", "gunnar"), "farneback, horn-schunck, lucas-kanade, dis"),
        (("{video}", "--classifier", "{classifier}", "--flow", "dis:speed=1"), "it has finest_scale, patch_size"),
        (("{video}", "--classifier", "{classifier}", "--flow", "dis:patch_size=12"), "18 pixels a side, not 16x16"),
        (("{video}", "--classifier", "{classifier}", "--size", "big"), "HEIGHTxWIDTH"),
        (("{video}", "--classifier", "{classifier}", "--sampling", "odd"), "no sampling 'odd'"),
        (("{video}", "--classifier", "{classifier}", "--sampling", "fps:0.1"), "needs"),
        (("{video}", "--classifier", "{classifier}", "--architecture", "vgg"), "no architecture 'vgg'"),
        (("{video}", "--classifier", "{classifier}", "--labels", "{missing}"), "missing.avi"),
        (("{video}", "--classifier", "{classifier}", "--json", "{missing}/x.json"), "its folder does not exist"),
        (("{video}", "--classifier", "{classifier}", "--out", "{video}"), "name a folder"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], message: str, video: Path, classifier: Path, tmp_path: Path
) -> None:
    places = {"video": video, "classifier": classifier, "missing": tmp_path / "missing.avi"}
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(CommandError) as refusal:
        call_command("verify", *[argument.format(**places) for argument in arguments])

    assert refusal.value.returncode == 2
    assert message in str(refusal.value) and "\n" not in str(refusal.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_short_video_is_refused(classifier: Path, tmp_path: Path) -> None:
    short = make_video_file(tmp_path / "short.avi", frames=3)

    with pytest.raises(CommandError, match="has 3 frames to choose from, but the clip needs 4"):
        call_command("verify", str(short), "--classifier", str(classifier))
