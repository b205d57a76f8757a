"""Real clips and a real classifier that are not part of the project; tests that need them are skipped where they are absent."""

import os
from pathlib import Path

import pytest

#: The folder with `lrcn_ucf50.onnx` and `ucf101/`, beside the checkout unless the environment says otherwise.
FOLDER = Path(os.environ.get("FLOWVERIFY_TEST_ASSETS", Path(__file__).resolve().parents[2] / "shared" / "assets"))


def lrcn_file() -> Path:
    """A trained LRCN: 20 frames of 128x128, BGR, sampled by "floor", five classes."""
    return _existing(FOLDER / "lrcn_ucf50.onnx")


def ucf_clip(name: str) -> Path:
    """A clip of UCF101."""
    return _existing(FOLDER / "ucf101" / f"{name}.avi")


def _existing(path: Path) -> Path:
    if not path.is_file():
        pytest.skip(f"{path.name} is not there; FLOWVERIFY_TEST_ASSETS names the folder of the real clips")
    return path
