"""Farneback's dense flow by polynomial expansion (OpenCV)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from verification.engine.flow.extractor import Extractor


class Farneback(Extractor):
    """Three pyramid levels, windows of 15 pixels: the settings of OpenCV's own documentation."""

    name = "farneback"

    def between(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        flow = np.zeros((*first.shape, 2), np.float32)
        return np.asarray(
            cv2.calcOpticalFlowFarneback(
                first,
                second,
                flow,
                pyr_scale=0.5,
                levels=3,
                winsize=15,
                iterations=3,
                poly_n=5,
                poly_sigma=1.2,
                flags=0,
            ),
            dtype=np.float32,
        )
