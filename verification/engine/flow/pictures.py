"""Pictures of flows, frames and their changes for people: pure functions to (h, w, 3) uint8 RGB."""

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


def frame_picture(frame: Field) -> Picture:
    """A frame (3, h, w) in [0, 1], rounded to 8 bits."""
    return np.round(np.clip(frame.transpose(1, 2, 0), 0, 1) * 255).astype(np.uint8)


def change_picture(change: Field, scale: float) -> Picture:
    """The change of a frame (3, h, w), pixel values: middle grey is unchanged, a change by `scale` reaches black or white."""
    return frame_picture(0.5 + np.clip(change / scale, -1, 1) / 2)


def encode_png(picture: Picture) -> bytes:
    """The picture as a PNG file."""
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"a picture of shape {picture.shape} cannot be encoded")
    return bytes(data)
