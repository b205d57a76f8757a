"""Pictures of flows, frames and their changes for people: pure functions to (h, w, 3) uint8 RGB."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Field = NDArray[np.floating]


def common_scale(*fields: Field, quantile: float = 0.99) -> float:
    """One magnitude, pixels, that all `fields` (any shape (..., 2)) are drawn against: their common upper quantile.

    A quantile, because a few outliers of an extractor would leave everything else dark. Never zero.
    """
    sizes = np.concatenate([np.hypot(field[..., 0], field[..., 1]).ravel() for field in fields])
    scale = float(np.quantile(sizes, quantile))
    if scale <= 0:
        scale = float(sizes.max())
    return scale if scale > 0 else 1.0


def magnitude_picture(field: Field, scale: float) -> Picture:
    """Length of the flow, perceptually even from dark (still) to bright (`scale` pixels and more)."""
    size = np.clip(np.hypot(field[..., 0], field[..., 1]) / scale, 0, 1)
    grey = np.round(size * 255).astype(np.uint8)
    coloured = cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def direction_picture(field: Field, scale: float) -> Picture:
    """Direction of the flow as a hue (right red, down yellow-green, left cyan, up violet), paler the shorter it is."""
    size = np.clip(np.hypot(field[..., 0], field[..., 1]) / scale, 0, 1)
    angle = np.degrees(np.arctan2(field[..., 1], field[..., 0])) % 360
    hsv = np.stack([angle, size, np.ones_like(size)], axis=-1).astype(np.float32)
    return np.round(np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), 0, 1) * 255).astype(np.uint8)


def arrows_picture(frame: Picture, field: Field, scale: float, spacing: int = 16) -> Picture:
    """Arrows on a pale copy of `frame` (h, w, 3), as in Figure 4 of the paper: one for each `spacing` x `spacing` pixels.

    Each shows the mean flow of its square; a flow of `scale` pixels is drawn `spacing` pixels long, and longer ones no longer.
    """
    height, width = field.shape[:2]
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    canvas = np.repeat((128 + grey // 2)[..., None], 3, axis=2).astype(np.uint8)
    for top in range(height % spacing // 2, height - spacing + 1, spacing):
        for left in range(width % spacing // 2, width - spacing + 1, spacing):
            mean = field[top : top + spacing, left : left + spacing].mean((0, 1))
            length = float(np.hypot(*mean)) / scale
            step = mean / scale * spacing / max(1.0, length)
            middle = np.array([left + spacing / 2, top + spacing / 2])
            _draw_arrow(canvas, middle - step / 2, middle + step / 2)
    return canvas


def enlarged(picture: NDArray[np.generic], side: int) -> NDArray[Any]:
    """`picture` (h, w, ...) with its pixels repeated, so that the longer side has up to `side` of them; never smaller."""
    times = max(1, side // max(picture.shape[:2]))
    return np.repeat(np.repeat(picture, times, axis=0), times, axis=1)


#: OpenCV draws at fractions of a pixel: this many bits of them.
_SHIFT = 4
_ARROW = (36, 80, 156)  # RGB; dark enough on the pale frame, and not a colour that means found or proven


def _draw_arrow(canvas: Picture, start: NDArray[np.floating], end: NDArray[np.floating]) -> None:
    def fixed(point: NDArray[np.floating]) -> tuple[int, int]:
        return round(float(point[0]) * 2**_SHIFT), round(float(point[1]) * 2**_SHIFT)

    if np.hypot(*(end - start)) < 1:
        cv2.circle(canvas, fixed(start), 2**_SHIFT, _ARROW, -1, cv2.LINE_AA, _SHIFT)
    else:
        cv2.arrowedLine(canvas, fixed(start), fixed(end), _ARROW, 1, cv2.LINE_AA, _SHIFT, 0.35)


def frame_picture(frame: Field) -> Picture:
    """A frame (3, h, w) in [0, 1], rounded to 8 bits."""
    # In float64, as `clip.rounding` does: float32 would decide some values between two levels in another way.
    return np.round(np.clip(frame.transpose(1, 2, 0).astype(np.float64), 0, 1) * 255).astype(np.uint8)


def change_picture(change: Field, scale: float) -> Picture:
    """The change of a frame (3, h, w), pixel values: middle grey is unchanged, a change by `scale` reaches black or white."""
    return frame_picture(0.5 + np.clip(change / scale, -1, 1) / 2)


def encode_png(picture: Picture) -> bytes:
    """The picture as a PNG file."""
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"a picture of shape {picture.shape} cannot be encoded")
    return bytes(data)
