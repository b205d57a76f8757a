"""How much of a clip's change can be seen: PSNR and SSIM of its frames, values in [0, 1].

SSIM: Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, Image quality assessment: from error visibility to structural
similarity, IEEE Transactions on Image Processing 13(4), 2004: Gaussian window of 11 x 11 pixels with a deviation of 1.5,
K1 = 0.01 and K2 = 0.03, averaged over all windows that lie within the frame. Here each colour channel is compared for itself and
the mean of the three is taken, so that a change of colour alone is seen too.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

_WINDOW, _DEVIATION = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2  # (K L)^2 for values up to L = 1

Frame = NDArray[np.floating]


@dataclass(frozen=True)
class Quality:
    """How similar changed frames are to the original ones: mean and worst over the `changed` frames; others are identical.

    `psnr`, `psnr_worst`: dB; None where no frame is changed, because it would be infinite. `ssim`, `ssim_worst`: 1 for identical
    frames, less the less of their structure is left.
    """

    changed: int
    psnr: float | None
    psnr_worst: float | None
    ssim: float
    ssim_worst: float


def quality(original: Tensor, changed: Tensor) -> Quality:
    """Compare two clips, both (l, 3, h, w) in [0, 1], frame by frame."""
    pairs = [
        (before, after)
        for before, after in zip(_frames(original), _frames(changed), strict=True)
        if not np.array_equal(before, after)
    ]
    if not pairs:
        return Quality(0, None, None, 1.0, 1.0)
    noise = [psnr(before, after) for before, after in pairs]
    structure = [ssim(before, after) for before, after in pairs]
    return Quality(len(pairs), float(np.mean(noise)), min(noise), float(np.mean(structure)), min(structure))


def psnr(original: Frame, changed: Frame) -> float:
    """Peak signal-to-noise ratio, dB: `-10 log10` of the mean squared change; infinite for identical frames."""
    error = float(np.mean(np.square(changed.astype(np.float64) - original)))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim(original: Frame, changed: Frame) -> float:
    """Mean structural similarity of two frames (3, h, w). In frames smaller than the window, the largest window that fits."""
    return float(np.mean([_ssim(x, y) for x, y in zip(original, changed, strict=True)]))


def _ssim(x: Frame, y: Frame) -> float:
    """Of one channel (h, w)."""
    shortest = min(x.shape)
    side = min(_WINDOW, shortest - 1 + shortest % 2)

    def average(values: Frame) -> Frame:
        return _windows(values, side)

    x, y = x.astype(np.float64), y.astype(np.float64)
    mean_x, mean_y = average(x), average(y)
    variance_x, variance_y = average(x * x) - mean_x**2, average(y * y) - mean_y**2
    covariance = average(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return float(np.mean(light * structure))


def _windows(values: Frame, side: int) -> Frame:
    """The Gaussian mean of every `side` x `side` window that lies within `values` (h, w)."""
    edge = side // 2
    blurred = np.asarray(cv2.GaussianBlur(values, (side, side), _DEVIATION), dtype=np.float64)
    height, width = values.shape
    return blurred[edge : height - edge, edge : width - edge]


def _frames(clip: Tensor) -> NDArray[np.floating]:
    frames: NDArray[np.floating] = clip.detach().cpu().double().numpy()
    return frames
