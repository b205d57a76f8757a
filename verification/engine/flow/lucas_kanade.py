"""Lucas and Kanade's flow at a grid of points (OpenCV, with pyramids), made dense by interpolation.

B. D. Lucas, T. Kanade, An Iterative Image Registration Technique with an Application to Stereo Vision, IJCAI 1981; the pyramid
as in J.-Y. Bouguet, Pyramidal Implementation of the Lucas Kanade Feature Tracker, Intel 2000.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from verification.engine.flow.extractor import Extractor, Grey, eight_bits
from verification.engine.flow.parameters import real, whole

Field = NDArray[np.float32]

_STOP = 0.001  # pixels: a smaller step of the iteration ends it


@dataclass(frozen=True)
class LucasKanade(Extractor):
    """The window around each point of a grid is looked for in the second frame, and what is found there in the first again.

    A point is left out if its window has too little texture, if its way leads out of the picture, or if the way back ends
    elsewhere. Such a point takes the mean of its good neighbours on the grid, and where it has none the mean of those that were
    filled before it. Where no point is good the flow is zero everywhere. Between points the flow is bilinear, beyond the
    outermost ones that of the nearest.

    OpenCV takes images of 8 bits only: grey values are rounded. A change of less than half a grey level is seen only as
    far as it changes how some values of the window round, so that manipulations below some hundredths of a pixel drown in
    rounding (docs/flow.md has figures).
    """

    name = "lucas-kanade"
    title = "Lucas-Kanade"
    method = "Lucas and Kanade’s method at a grid of points"
    example = "lucas-kanade:winsize=21,spacing=2"
    rounds = True

    winsize: int = whole(15, 3, 51, "side of the window that is looked for, pixels")
    levels: int = whole(4, 1, 10, "levels of the pyramid, each half as large; the full size included")
    iterations: int = whole(30, 1, 100, "at most, at each level")
    spacing: int = whole(4, 1, 64, "distance of the points of the grid, pixels")
    texture: float = real(
        1e-3, 0.0, 1.0, "least texture of a window: the smaller eigenvalue of its gradients, as OpenCV scales it"
    )
    agreement: float = real(1.0, 0.01, 100.0, "how far from its start the way there and back may end, pixels")

    def between(self, first: Grey, second: Grey) -> Field:
        height, width = first.shape
        rows, columns = self._places(height), self._places(width)
        points = np.stack(np.meshgrid(columns, rows), axis=-1)
        found, good = self._followed(eight_bits(first), eight_bits(second), points)
        field = _filled(np.where(good[..., None], found - points, 0), good)
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        x, y = (x - columns[0]) / self.spacing, (y - rows[0]) / self.spacing
        return np.asarray(cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)

    def _places(self, length: int) -> Field:
        """The grid's coordinates along a side of `length` pixels: the same margin at both ends."""
        return np.arange((length - 1) % self.spacing / 2, length, self.spacing, dtype=np.float32)

    def _followed(
        self, first: NDArray[np.uint8], second: NDArray[np.uint8], points: Field
    ) -> tuple[Field, NDArray[np.bool_]]:
        """Where the points (rows, columns, 2) of `first` are in `second`, and which of them are good."""
        height, width = first.shape
        there, seen = self._matched(first, second, points)
        back, seen_again = self._matched(second, first, there)
        inside = ((there >= 0) & (there <= (width - 1, height - 1))).all(-1)
        return there, seen & seen_again & inside & (np.linalg.norm(back - points, axis=-1) <= self.agreement)

    def _matched(
        self, first: NDArray[np.uint8], second: NDArray[np.uint8], points: Field
    ) -> tuple[Field, NDArray[np.bool_]]:
        there, status, _ = cv2.calcOpticalFlowPyrLK(
            first,
            second,
            points.reshape(-1, 1, 2),
            np.empty((points.size // 2, 1, 2), np.float32),
            winSize=(self.winsize, self.winsize),
            maxLevel=self.levels - 1,
            criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, self.iterations, _STOP),
            minEigThreshold=self.texture,
        )
        return np.reshape(there, points.shape).astype(np.float32), np.reshape(status, points.shape[:-1]) > 0


def _filled(field: Field, known: NDArray[np.bool_]) -> Field:
    """`field` (rows, columns, 2), zero where not `known`, with every other point from its neighbours, ring by ring."""
    while known.any() and not known.all():
        count, total = (
            cv2.boxFilter(values, cv2.CV_32F, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
            for values in (known.astype(np.float32), field)
        )
        reached = ~known & (count > 0)
        field = np.where(reached[..., None], total / np.maximum(count, 1)[..., None], field)
        known = known | reached
    return field.astype(np.float32)
