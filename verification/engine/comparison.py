"""An adversarial clip beside the original one, as people look at them: original, perturbed, and the difference magnified."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from verification.engine.flow.pictures import Picture, change_picture, enlarged, frame_picture

_TILE = 256  # pixels that the longer side of a small frame is enlarged to, at most
_HEADING = 24  # pixels high
_GAP = 8
_PAPER, _INK = 24, (236, 236, 236)


def side_by_side(original: NDArray[np.floating], perturbed: NDArray[np.floating]) -> list[Picture]:
    """A page for every frame; both (l, 3, h, w) in [0, 1].

    In the difference middle grey is unchanged, and the largest change of the clip reaches black or white.
    """
    change = perturbed - original
    scale = float(np.abs(change).max()) or 1.0
    titles = ("Original", "Perturbed", f"Difference x{_magnification(scale)}")
    pages = []
    for before, after, difference in zip(original, perturbed, change, strict=True):
        pictures = (frame_picture(before), frame_picture(after), change_picture(difference, scale))
        pages.append(_page([enlarged(picture, _TILE) for picture in pictures], titles))
    return pages


def most_changed(original: NDArray[np.floating], perturbed: NDArray[np.floating]) -> int:
    """The number, from 0, of the frame that the sum of squares has changed most in."""
    return int(np.square(perturbed - original).sum(axis=(1, 2, 3)).argmax())


def _magnification(scale: float) -> str:
    """How much larger than it is a change is drawn when `scale` reaches white from the middle grey."""
    factor = 0.5 / scale
    return f"{factor:.1f}" if factor < 10 else str(round(factor))


def _page(tiles: list[Picture], titles: tuple[str, ...]) -> Picture:
    """The tiles in a row under their titles; an even number of rows and columns, as codecs want them."""
    height, width = tiles[0].shape[:2]
    shape = (_even(_HEADING + height), _even(len(tiles) * (width + _GAP) - _GAP), 3)
    page = np.full(shape, _PAPER, dtype=np.uint8)
    for place, (tile, title) in enumerate(zip(tiles, titles, strict=True)):
        left = place * (width + _GAP)
        page[_HEADING : _HEADING + height, left : left + width] = tile
        cv2.putText(page, title, (left + 2, _HEADING - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return page


def _even(length: int) -> int:
    return 2 * math.ceil(length / 2)
