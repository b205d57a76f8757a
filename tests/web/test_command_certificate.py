"""`manage.py verify --certificate` and what `check_certificate` says of the file."""

import csv
import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.engine.questions import make_classifier
from tests.factories import make_video_file
from verification.engine.network import save_classifier


@pytest.fixture
def question(tmp_path: Path) -> list[str]:
    """A video and a classifier, as words of the command line."""
    video = make_video_file(tmp_path / "street.avi")
    small = make_classifier(1)
    path = tmp_path / "small.safetensors"
    config = {"channels": [4], "features": 6, "hidden": 5, "stride": 4}
    save_classifier(
        path, small.module, architecture=small.architecture, config=config, labels=small.labels, input=small.input
    )
    return [str(video), "--classifier", str(path)]


def test_a_certificate_is_written_and_found_valid_again(question: list[str], tmp_path: Path) -> None:
    file, out = tmp_path / "proof.json", StringIO()
    asked = ["--space", "translation", "--flows", "1", "--seconds", "600", "--rounds", "30"]
    files = ["--json", str(tmp_path / "r.json"), "--turns", str(tmp_path / "turns.csv")]
    call_command("verify", *question, *asked, "--certificate", str(file), *files, stdout=out)
    assert "Certificate: " in out.getvalue()
    with (tmp_path / "turns.csv").open(newline="") as turns:
        rows = list(csv.DictReader(turns))
    cells = json.loads((tmp_path / "r.json").read_text())["game"]["cells"]
    assert [int(row["open"]) for row in rows] == list(range(1, cells))
    assert {row["flow"] for row in rows} <= {"1"}
    radius = json.loads(file.read_text())["radius"]
    assert 0 < radius <= json.loads((tmp_path / "r.json").read_text())["lower"]

    said = StringIO()
    call_command("check_certificate", str(file), "--video", question[0], *question[1:], stdout=said)
    assert said.getvalue().startswith("valid")

    changed = json.loads(file.read_text()) | {"radius": 2 * radius}
    file.write_text(json.dumps(changed))
    with pytest.raises(CommandError) as refusal:
        call_command("check_certificate", str(file), "--video", question[0], *question[1:])
    assert refusal.value.returncode == 1


def test_where_there_are_no_cells_the_certificate_is_of_one_ball(question: list[str], tmp_path: Path) -> None:
    file, said = tmp_path / "proof.json", StringIO()
    asked = ["--flows", "1", "--seconds", "600", "--rounds", "4"]
    call_command("verify", *question, *asked, "--certificate", str(file), "--json", str(tmp_path / "r.json"))
    made = json.loads(file.read_text())
    assert (made["method"], made["space"], made["cover"]["splits"]) == ("ball", "dense", [])
    assert 0 < made["radius"] <= json.loads((tmp_path / "r.json").read_text())["lower"]
    call_command("check_certificate", str(file), "--video", question[0], *question[1:], stdout=said)
    assert said.getvalue().startswith("valid")
