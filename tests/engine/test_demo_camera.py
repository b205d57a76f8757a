"""The virtual camera moves as its labels say."""

import cv2
import numpy as np
import pytest

from verification.demo.camera import LABELS, Frames, Movement, Shot, film


@pytest.fixture
def source() -> Frames:
    """Twelve equal frames of smooth texture, 120x160."""
    noise = np.random.default_rng(0).uniform(0, 255, (120, 160, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    texture = 255 * (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.repeat(texture.astype(np.uint8)[None], 12, axis=0)


def flow(clip: Frames) -> np.ndarray:
    """Farneback flow of the first pair, (h, w, 2)."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip[:2]]
    start = np.zeros((*grey[0].shape, 2), np.float32)
    return cv2.calcOpticalFlowFarneback(grey[0], grey[1], start, 0.5, 3, 15, 3, 5, 1.2, 0)


def shot(movement: Movement, **options: object) -> Shot:
    settings: dict[str, object] = {"first": 0, "step": 1, "window": 64.0, "speed": 2.0, **options}
    return Shot(movement, **settings)  # type: ignore[arg-type]


def test_the_labels_of_the_demo() -> None:
    assert LABELS == ("static", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out")


def test_a_still_camera_over_equal_frames_films_equal_frames(source: Frames) -> None:
    clip = film(source, shot(Movement.STATIC), length=8, size=64)

    assert clip.shape == (8, 64, 64, 3)
    assert all(np.array_equal(frame, clip[0]) for frame in clip)


@pytest.mark.parametrize(
    ("movement", "expected"),
    [
        (Movement.PAN_LEFT, (2, 0)),
        (Movement.PAN_RIGHT, (-2, 0)),
        (Movement.TILT_UP, (0, 2)),
        (Movement.TILT_DOWN, (0, -2)),
    ],
)
@pytest.mark.parametrize(("turns", "mirrored"), [(0, False), (1, False), (2, True), (3, True)])
def test_the_picture_moves_against_the_camera(
    source: Frames, movement: Movement, expected: tuple[int, int], turns: int, mirrored: bool
) -> None:
    clip = film(source, shot(movement, turns=turns, mirrored=mirrored), length=8, size=64)

    np.testing.assert_allclose(np.median(flow(clip)[16:48, 16:48], axis=(0, 1)), expected, atol=0.2)


@pytest.mark.parametrize(("movement", "sign"), [(Movement.ZOOM_IN, 1), (Movement.ZOOM_OUT, -1)])
def test_a_zoom_in_makes_the_picture_grow(source: Frames, movement: Movement, sign: int) -> None:
    motion = flow(film(source, shot(movement), length=8, size=64))

    rows, columns = np.mgrid[0:64, 0:64] - 31.5
    outwards = (motion[..., 0] * columns + motion[..., 1] * rows) / np.hypot(rows, columns)
    assert np.sign(np.median(outwards[8:56, 8:56])) == sign


def test_a_soft_lens_takes_the_detail_away(source: Frames) -> None:
    sharp = film(source, shot(Movement.STATIC), length=2, size=64)
    soft = film(source, shot(Movement.STATIC, softness=2.0), length=2, size=64)

    assert np.abs(np.diff(soft.astype(int), axis=2)).mean() < np.abs(np.diff(sharp.astype(int), axis=2)).mean()


@pytest.mark.parametrize(("first", "step"), [(6, 1), (5, -1), (-1, 1)])
def test_a_shot_needs_enough_frames(source: Frames, first: int, step: int) -> None:
    with pytest.raises(ValueError, match="the source has 12"):
        film(source, shot(Movement.STATIC, first=first, step=step), length=8, size=64)


def test_the_path_must_stay_within_the_frames(source: Frames) -> None:
    with pytest.raises(ValueError, match="does not fit into frames of 120x160"):
        film(source, shot(Movement.PAN_RIGHT, speed=20.0), length=8, size=64)
