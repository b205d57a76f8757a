"""The files of an adversarial example, read back by other readers than ours."""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.engine.questions import make_frames
from verification.engine import read_clip
from verification.engine.artifacts import File, Kind, adversarial_files, original_files
from verification.engine.clip.films import lossless_film, web_film
from verification.engine.clip.quality import quality
from verification.engine.flow import build_extractor
from verification.engine.flow.middlebury import flo_bytes
from verification.engine.perturbation import Norm, build_space
from verification.engine.result import AdversarialExample

FRAMES = make_frames(2)
FLOW = build_extractor("farneback").extract(FRAMES)
LENGTH, _, HEIGHT, WIDTH = FRAMES.shape


def example() -> AdversarialExample:
    generator = torch.Generator().manual_seed(1)
    delta = torch.randn(FLOW.shape, generator=generator, dtype=torch.float64) / 3
    space = build_space("dense", LENGTH, HEIGHT, WIDTH, None, lambda: FLOW)
    clip = space.perturbed(FRAMES.double(), delta).float()
    distances = {norm: float(norm.of(delta)) for norm in Norm}
    return AdversarialExample(
        delta,
        clip,
        1,
        0.5,
        distances,
        (1.0, 0.0, 0.0),
        None,
        quality(FRAMES, clip),
        True,
        dict.fromkeys(Norm, 1.0),
        None,
    )


@pytest.fixture(scope="module")
def found() -> AdversarialExample:
    return example()


@pytest.fixture(scope="module")
def files(found: AdversarialExample) -> dict[str, File]:
    written = [*original_files(FRAMES, FLOW), *adversarial_files(FRAMES, FLOW, found)]
    names = [file.name for file in written]
    assert len(names) == len(set(names))
    return {file.name: file for file in written}


def read_flo(content: bytes) -> NDArray[np.float32]:
    """The format once more, read by its description."""
    assert content[:4] == b"PIEH"
    width, height = (int.from_bytes(content[at : at + 4], "little") for at in (4, 8))
    return np.frombuffer(content, "<f4", offset=12).reshape(height, width, 2)


def film(path: Path) -> list[NDArray[np.uint8]]:
    """All frames of a film, RGB."""
    reader = cv2.VideoCapture(str(path))
    frames: list[NDArray[np.uint8]] = []
    while True:
        done, frame = reader.read()
        if not done:
            return frames
        frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8))


def pictures(size: tuple[int, int], count: int = 5) -> list[NDArray[np.uint8]]:
    noise = np.random.default_rng(0)
    return [noise.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def test_a_flo_file_is_what_others_read(tmp_path: Path) -> None:
    field = np.random.default_rng(1).normal(0, 5, (7, 11, 2))
    (tmp_path / "field.flo").write_bytes(flo_bytes(field))

    np.testing.assert_array_equal(read_flo(flo_bytes(field)), field.astype(np.float32))
    np.testing.assert_array_equal(cv2.readOpticalFlow(str(tmp_path / "field.flo")), field.astype(np.float32))


def test_every_flow_is_in_the_archives(files: dict[str, File], found: AdversarialExample) -> None:
    original = FLOW.permute(0, 2, 3, 1).numpy()
    perturbed = (original + found.delta.permute(0, 2, 3, 1).numpy()).astype(np.float32)
    for name, fields in (("original-flows-flo.zip", original), ("perturbed-flows-flo.zip", perturbed)):
        with zipfile.ZipFile(io.BytesIO(files[name].content)) as archive:
            assert archive.namelist() == [f"flow-{number:03d}.flo" for number in range(1, LENGTH)]
            for member, field in zip(archive.namelist(), fields, strict=True):
                np.testing.assert_array_equal(read_flo(archive.read(member)), field)


@pytest.mark.parametrize(("size", "suffix"), [((16, 20), ".mkv"), ((15, 21), ".zip"), ((16, 21), ".zip")])
def test_a_clip_without_loss_gives_every_bit_back(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    frames = pictures(size)
    written = lossless_film(frames)
    assert written.suffix == suffix
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(written.content)

    if suffix == ".mkv":
        np.testing.assert_array_equal(film(path), frames)
    clip = read_clip(path, frames=len(frames), size=size)
    np.testing.assert_array_equal(clip.frames.mul(255).round().byte().permute(0, 2, 3, 1).numpy(), frames)


def test_the_clip_in_eight_bits_is_the_perturbed_one_rounded(
    tmp_path: Path, files: dict[str, File], found: AdversarialExample
) -> None:
    path = tmp_path / "clip.mkv"
    path.write_bytes(files["clip-8-bit.mkv"].content)

    expected = found.clip.mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(film(path), expected)


@pytest.mark.parametrize("size", [(16, 20), (96, 64)])
def test_a_film_for_browsers_has_every_frame(tmp_path: Path, size: tuple[int, int]) -> None:
    written = web_film(pictures(size))
    assert written is not None, "this build of OpenCV writes no VP9 and no VP8"
    assert (written.suffix, written.content_type) == (".webm", "video/webm")
    assert b"webm" in written.content[:64] and b"matroska" not in written.content[:64]
    (tmp_path / "film.webm").write_bytes(written.content)

    assert [frame.shape for frame in film(tmp_path / "film.webm")] == [(*size, 3)] * 5


def test_the_comparison_shows_both_clips_side_by_side(
    tmp_path: Path, files: dict[str, File], found: AdversarialExample
) -> None:
    path = tmp_path / "comparison.webm"
    path.write_bytes(files["comparison.webm"].content)
    shown = film(path)

    assert len(shown) == LENGTH
    times = 256 // max(HEIGHT, WIDTH)
    height, width = shown[0].shape[:2]
    assert (height, width) == (24 + times * HEIGHT, 3 * times * WIDTH + 16)
    # Compressed, but recognisable: each half is nearer to its own clip.
    for page, before, after in list(zip(shown, FRAMES.numpy(), found.clip.numpy(), strict=True))[1:]:
        left, right = (
            page[24 + times // 2 :: times, start + times // 2 : start + times * WIDTH : times].transpose(2, 0, 1) / 255
            for start in (0, times * WIDTH + 8)
        )
        assert np.abs(left - before).mean() < np.abs(left - after).mean()
        assert np.abs(right - after).mean() < np.abs(right - before).mean()


def test_arrows_are_drawn_on_enlarged_frames(files: dict[str, File]) -> None:
    for kind in (Kind.FLOW_ARROWS, Kind.PERTURBED_ARROWS, Kind.DIFFERENCE_ARROWS):
        drawn = [file for file in files.values() if file.kind is kind]
        assert [file.flow for file in drawn] == list(range(1, LENGTH))
        picture = cv2.imdecode(np.frombuffer(drawn[0].content, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None and picture.shape == (256 // WIDTH * HEIGHT, 256 // WIDTH * WIDTH, 3)
        colour = picture.max(2).astype(int) - picture.min(2)
        assert colour.max() > 60, "the frame is grey, the arrows are not"
