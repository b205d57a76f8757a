"""A virtual camera: a window that moves over the frames of a real video and films clips of known movement.

Directions are the camera's: in "pan right" the window moves to the right, so the picture moves to the left.
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""(n, height, width, 3), RGB."""


class Movement(StrEnum):
    """What the camera does; the values, in this order, are the labels of the demo classifier."""

    STATIC = "static"
    PAN_LEFT = "pan left"
    PAN_RIGHT = "pan right"
    TILT_UP = "tilt up"
    TILT_DOWN = "tilt down"
    ZOOM_IN = "zoom in"
    ZOOM_OUT = "zoom out"


LABELS: tuple[str, ...] = tuple(movement.value for movement in Movement)

_DIRECTIONS: dict[Movement, tuple[float, float]] = {
    Movement.PAN_LEFT: (-1.0, 0.0),
    Movement.PAN_RIGHT: (1.0, 0.0),
    Movement.TILT_UP: (0.0, -1.0),
    Movement.TILT_DOWN: (0.0, 1.0),
}
_ZOOMS = {Movement.ZOOM_IN: -1.0, Movement.ZOOM_OUT: 1.0}


@dataclass(frozen=True)
class Shot:
    """One take of the virtual camera.

    `first`, `step`: source frame of the first clip frame, and how far to go on in the source from one clip frame
    to the next (0 films a still, -1 lets time run backwards). `window`: side of the square window half way through
    the take, in source pixels. `speed`: pixels of the clip that the picture moves from one clip frame to the next;
    for a zoom, at the middle of an edge. `place`: where in the free part of the source the window is, both in
    [0, 1]. `turns`, `mirrored`: how the camera is held over the source, in quarter turns; the movement is always
    in the camera's own directions. `softness`: of the lens, the standard deviation of its blur in clip pixels.
    """

    movement: Movement
    first: int
    step: int
    window: float
    speed: float
    place: tuple[float, float] = (0.5, 0.5)
    turns: int = 0
    mirrored: bool = False
    softness: float = 0.0


def film(source: Frames, shot: Shot, *, length: int, size: int) -> Frames:
    """The clip of this shot: (length, size, size, 3), RGB, bilinear. The window never leaves the source.

    Raises ValueError if the source has too few frames or is too small for the path of the window.
    """
    last = shot.first + shot.step * (length - 1)
    if min(shot.first, last) < 0 or max(shot.first, last) >= len(source):
        raise ValueError(f"the shot needs the frames {shot.first} to {last}, the source has {len(source)}")
    offsets, scales = _path(shot, length=length, size=size)
    held = _held(shot)
    offsets = offsets @ held.T
    height, width = source.shape[1:3]
    reach = np.max(np.abs(offsets) + scales[:, None] * size / 2, axis=0)
    free = np.array([width - 1, height - 1]) - 2 * reach
    if free.min() < 0:
        raise ValueError(f"the path of the camera does not fit into frames of {height}x{width}")
    centre = reach + free * np.array(shot.place)
    clip = np.empty((length, size, size, 3), np.uint8)
    middle = np.full(2, (size - 1) / 2)
    for t in range(length):
        linear = scales[t] * held
        affine = np.column_stack([linear, centre + offsets[t] - linear @ middle])
        cv2.warpAffine(
            source[shot.first + shot.step * t],
            affine,
            (size, size),
            dst=clip[t],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if shot.softness > 0:
            cv2.GaussianBlur(clip[t], (0, 0), shot.softness, dst=clip[t], borderType=cv2.BORDER_REPLICATE)
    return clip


def fits(source: Frames, shot: Shot, *, length: int, size: int) -> bool:
    """Whether the window stays within the source all the way."""
    offsets, scales = _path(shot, length=length, size=size)
    reach = np.max(np.abs(offsets @ _held(shot).T) + scales[:, None] * size / 2, axis=0)
    return bool(2 * reach[0] <= source.shape[2] - 1 and 2 * reach[1] <= source.shape[1] - 1)


def _path(shot: Shot, *, length: int, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Offsets (length, 2) of the window's centre, source pixels, and scales (length,), source pixels a clip pixel."""
    time = np.arange(length) - (length - 1) / 2
    scale = shot.window / size
    direction = np.array(_DIRECTIONS.get(shot.movement, (0.0, 0.0)))
    offsets = time[:, None] * direction * shot.speed * scale
    rate = _ZOOMS.get(shot.movement, 0.0) * shot.speed / (size / 2)
    return offsets, scale * np.exp(rate * time)


def _held(shot: Shot) -> NDArray[np.float64]:
    """The orthogonal matrix that takes directions of the camera to directions in the source."""
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    mirror = np.diag([-1.0 if shot.mirrored else 1.0, 1.0])
    return np.linalg.matrix_power(quarter, shot.turns % 4) @ mirror
