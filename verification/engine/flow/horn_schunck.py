"""Horn and Schunck's smooth flow, from coarse to fine, so that it follows motions of several pixels.

B. K. P. Horn, B. G. Schunck, Determining Optical Flow, Artificial Intelligence 17 (1981), 185-203, eq. 12 and 13. The pyramid
with warping: E. Meinhardt-Llopis, J. Sánchez Pérez, D. Kondermann, Horn-Schunck Optical Flow with a Multi-Scale Strategy,
Image Processing On Line 3 (2013), 151-172. The median: D. Sun, S. Roth, M. J. Black, Secrets of Optical Flow Estimation and Their
Principles, CVPR 2010.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from verification.engine.flow.extractor import Extractor, Grey
from verification.engine.flow.parameters import real, whole

Field = NDArray[np.float32]

#: Horn and Schunck's average over the eight neighbours.
_NEIGHBOURS = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float32) / 12
#: A derivative of fourth order.
_DERIVATIVE = np.array([1, -8, 0, 8, -1], np.float32) / 12
_CURVATURE = np.array([1, -2, 1], np.float32)
_SAME = np.ones(1, np.float32)
_SOFTNESS = 0.8  # standard deviation, pixels, of the blur before a level is halved
_LEAST_SIDE = 8  # pixels of the coarsest level
_MEDIAN = 5  # pixels a side: without it warps amplify the errors of a flow that is hardly smoothed


@dataclass(frozen=True)
class HornSchunck(Extractor):
    """Approaches the least sum of `(change of grey along the flow)^2 + alpha^2 |gradient of the flow|^2`, grey from 0 to 255.

    Where there is no texture, the flow is that of the surroundings. Where the flow leads out of the picture nothing can be
    compared, and only smoothness counts. The pyramid ends before a side has fewer than 8 pixels.
    """

    name = "horn-schunck"
    title = "Horn-Schunck"
    method = "Horn and Schunck’s variational method"
    example = "horn-schunck:alpha=5,warps=8"

    alpha: float = real(10.0, 0.1, 1000.0, "weight of smoothness against grey values from 0 to 255; larger is smoother")
    iterations: int = whole(100, 1, 500, "of the equations, at each warp")
    levels: int = whole(4, 1, 10, "levels of the pyramid, each half as large; the full size included")
    warps: int = whole(4, 1, 20, "how often at each level the second frame is moved back by the flow found so far")

    def between(self, first: Grey, second: Grey) -> Field:
        pyramid = self._pyramid(first, second)
        u = v = np.zeros_like(pyramid[0][0])
        for one, other in pyramid:
            u, v = _enlarged(u, one.shape, axis=1), _enlarged(v, one.shape, axis=0)
            for _ in range(self.warps):
                u, v = (_without_outliers(part) for part in self._refined(one, other, u, v))
        return np.stack([u, v], axis=-1)

    def _pyramid(self, first: Grey, second: Grey) -> list[tuple[Grey, Grey]]:
        """Both frames at every size, the smallest first."""
        pyramid = [(first, second)]
        while len(pyramid) < self.levels and min(pyramid[-1][0].shape) >= 2 * _LEAST_SIDE:
            one, other = pyramid[-1]
            pyramid.append((_halved(one), _halved(other)))
        return pyramid[::-1]

    def _refined(self, first: Grey, second: Grey, u: Field, v: Field) -> tuple[Field, Field]:
        """Iterates on the equations linearised at the flow (u, v)."""
        moved, inside = _moved_back(second, u, v)
        mean = (first + moved) / 2
        gx = cv2.sepFilter2D(mean, -1, _DERIVATIVE, _SAME, borderType=cv2.BORDER_REPLICATE) * inside
        gy = cv2.sepFilter2D(mean, -1, _SAME, _DERIVATIVE, borderType=cv2.BORDER_REPLICATE) * inside
        # The change of grey along any flow near (u, v): `change + gx u + gy v`.
        change = (moved - first) * inside - gx * u - gy * v
        weight = 1 / (np.float32(self.alpha) ** 2 + gx * gx + gy * gy)
        for _ in range(self.iterations):
            u, v = _average(u), _average(v)
            step = (change + gx * u + gy * v) * weight
            u, v = u - gx * step, v - gy * step
        return u, v


def _average(part: Field) -> Field:
    return np.asarray(cv2.filter2D(part, -1, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE), np.float32)


def _without_outliers(part: Field) -> Field:
    return np.asarray(cv2.medianBlur(part, _MEDIAN), np.float32)


def _halved(grey: Grey) -> Grey:
    size = ((grey.shape[1] + 1) // 2, (grey.shape[0] + 1) // 2)
    soft = cv2.GaussianBlur(grey, (0, 0), _SOFTNESS, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _enlarged(part: Field, shape: tuple[int, ...], axis: int) -> Field:
    """One component of a flow, along `axis`, for the next finer level, of frames of `shape` (h, w)."""
    ratio = np.float32(shape[axis] / part.shape[axis])
    return np.asarray(cv2.resize(part, shape[::-1], interpolation=cv2.INTER_LINEAR) * ratio, np.float32)


def _moved_back(second: Grey, u: Field, v: Field) -> tuple[Grey, Grey]:
    """`second` at `x + flow(x)`, and 1 where that is within the picture, else 0."""
    height, width = second.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = columns + u, rows + v
    xx = cv2.sepFilter2D(second, -1, _CURVATURE, _SAME, borderType=cv2.BORDER_REPLICATE)
    yy = cv2.sepFilter2D(second, -1, _SAME, _CURVATURE, borderType=cv2.BORDER_REPLICATE)
    moved, xx, yy = (
        cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in (second, xx, yy)
    )
    # Bilinear interpolation cuts across what is curved, which alone shifts the flow by some hundredths of a pixel.
    fx, fy = x - np.floor(x), y - np.floor(y)
    curved = moved - fx * (1 - fx) / 2 * xx - fy * (1 - fy) / 2 * yy
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return np.asarray(curved, np.float32), inside.astype(np.float32)
