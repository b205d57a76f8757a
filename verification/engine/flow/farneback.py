"""Farneback's dense flow by polynomial expansion (OpenCV).

G. Farnebäck, Two-Frame Motion Estimation Based on Polynomial Expansion, SCIA 2003.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from verification.engine.flow.extractor import Extractor, Grey
from verification.engine.flow.parameters import one_of, real, whole


@dataclass(frozen=True)
class Farneback(Extractor):
    """Around each pixel both frames are a quadratic polynomial, and the flow is the shift between the two.

    The polynomials' constants are not used, so that a change of brightness leaves the flow as it is. The defaults are the
    settings of OpenCV's own documentation.
    """

    name = "farneback"
    title = "Farneback"
    method = "Farneback’s polynomial expansion"
    example = "farneback:winsize=21,levels=4"

    pyr_scale: float = real(0.5, 0.1, 0.95, "how much smaller each level of the pyramid is")
    levels: int = whole(3, 0, 10, "levels of the pyramid above the full size, as long as a side keeps 32 pixels")
    winsize: int = whole(15, 2, 101, "side of the window over which the shift is averaged, pixels; larger is smoother")
    iterations: int = whole(3, 1, 50, "at each level")
    poly_n: int = one_of(
        5, (7,), "size of the neighbourhood of a polynomial, as OpenCV counts it; 7 goes with poly_sigma=1.5"
    )
    poly_sigma: float = real(1.2, 0.5, 5.0, "standard deviation of the weights of that neighbourhood, pixels")
    window: str = one_of("box", ("gaussian",), "how the window weighs its pixels; gaussian is sharper and slower")

    def between(self, first: Grey, second: Grey) -> NDArray[np.float32]:
        flow = np.zeros((*first.shape, 2), np.float32)
        return np.asarray(
            cv2.calcOpticalFlowFarneback(
                first,
                second,
                flow,
                pyr_scale=self.pyr_scale,
                levels=self.levels,
                winsize=self.winsize,
                iterations=self.iterations,
                poly_n=self.poly_n,
                poly_sigma=self.poly_sigma,
                flags=cv2.OPTFLOW_FARNEBACK_GAUSSIAN if self.window == "gaussian" else 0,
            ),
            dtype=np.float32,
        )
