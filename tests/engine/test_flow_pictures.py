"""Pictures of flow: size as brightness, direction as hue, one scale for what is compared."""

import colorsys

import cv2
import numpy as np
import pytest

from verification.engine.flow.pictures import (
    common_scale,
    direction_picture,
    encode_png,
    frame_picture,
    magnitude_picture,
)


def field(x: float, y: float) -> np.ndarray:
    return np.tile(np.array([x, y]), (4, 5, 1))


def test_longer_flow_is_brighter_up_to_the_scale() -> None:
    levels = [int(magnitude_picture(field(size, 0), 2.0)[0, 0].astype(int).sum()) for size in (0, 0.5, 1, 1.5, 2, 9)]

    assert levels[:5] == sorted(set(levels[:5]))
    assert levels[5] == levels[4]


@pytest.mark.parametrize(("x", "y", "hue"), [(1, 0, 0), (0, 1, 90), (-1, 0, 180), (0, -1, 270)])
def test_direction_is_the_hue(x: float, y: float, hue: float) -> None:
    red, green, blue = direction_picture(field(x, y), 1.0)[0, 0] / 255

    found, _, saturation = colorsys.rgb_to_hls(red, green, blue)
    assert found * 360 == pytest.approx(hue, abs=1)
    assert saturation == pytest.approx(1, abs=0.01)


def test_no_motion_has_no_colour() -> None:
    assert (direction_picture(field(0, 0), 1.0) == 255).all()


def test_common_scale_covers_both_and_ignores_outliers() -> None:
    small, large = field(0.1, 0), field(3, 4)
    wild = np.zeros((100, 100, 2))
    wild[0, 0] = 1e6

    assert common_scale(small, large) == pytest.approx(5)
    assert common_scale(np.ones((100, 100, 2)), wild) == pytest.approx(2**0.5)
    assert common_scale(field(0, 0)) == 1.0


def test_sparse_flow_keeps_its_scale() -> None:
    sparse = np.zeros((50, 50, 2))
    sparse[3, 4, 1] = -2.0

    assert common_scale(sparse) == 2.0


def test_pictures_are_rgb_files() -> None:
    frame = np.zeros((3, 4, 5))
    frame[0] = 1.0

    decoded = cv2.imdecode(np.frombuffer(encode_png(frame_picture(frame)), np.uint8), cv2.IMREAD_COLOR)

    assert decoded is not None and decoded.shape == (4, 5, 3)
    assert (decoded == (0, 0, 255)).all()
