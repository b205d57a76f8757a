"""Dense inverse search (OpenCV).

T. Kroeger, R. Timofte, D. Dai, L. Van Gool, Fast Optical Flow using Dense Inverse Search, ECCV 2016.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from verification.engine.errors import SpecificationError
from verification.engine.flow.extractor import Extractor, Grey, eight_bits
from verification.engine.flow.parameters import real, whole


@dataclass(frozen=True)
class DIS(Extractor):
    """Overlapping patches are looked for from coarse to fine, blended, and the result refined by a variational method.

    OpenCV takes images of 8 bits only: grey values are rounded. A change of less than half a grey level is seen only as
    far as it changes how some values of a patch round, so that manipulations below some hundredths of a pixel drown in
    rounding (docs/flow.md has figures). Frames need 12 pixels a side for patches of 8.
    """

    name = "dis"
    title = "DIS"
    method = "dense inverse search"
    example = "dis:finest_scale=1,patch_stride=3"
    rounds = True

    finest_scale: int = whole(
        0, 0, 6, "where the search ends: at 0 in the full size, each further level is half as large"
    )
    patch_size: int = whole(8, 4, 32, "side of a patch, pixels")
    patch_stride: int = whole(3, 1, 32, "distance of patches, pixels, at most their side")
    iterations: int = whole(25, 1, 200, "of the search for a patch, at each level")
    refinement: int = whole(5, 0, 50, "iterations of the variational refinement at each level; 0 leaves it out")
    alpha: float = real(20.0, 0.1, 1000.0, "weight of smoothness in the refinement")
    delta: float = real(5.0, 0.0, 1000.0, "weight of constant brightness in the refinement")
    gamma: float = real(10.0, 0.0, 1000.0, "weight of constant gradients in the refinement")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch_stride > self.patch_size:
            raise SpecificationError(
                f"'patch_stride' of the extractor 'dis' must be at most its 'patch_size', {self.patch_size}, "
                f"not {self.patch_stride}"
            )

    @property
    def least_side(self) -> int:
        return math.ceil(1.5 * self.patch_size)

    def between(self, first: Grey, second: Grey) -> NDArray[np.float32]:
        search: Any = cv2.DISOpticalFlow.create(
            cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
        )  # its stub knows no calc without a flow
        search.setFinestScale(min(self.finest_scale, self._coarsest_scale(*first.shape)))
        search.setPatchSize(self.patch_size)
        search.setPatchStride(self.patch_stride)
        search.setGradientDescentIterations(self.iterations)
        search.setVariationalRefinementIterations(self.refinement)
        search.setVariationalRefinementAlpha(self.alpha)
        search.setVariationalRefinementDelta(self.delta)
        search.setVariationalRefinementGamma(self.gamma)
        # OpenCV's result depends on the number of threads without it.
        search.setUseSpatialPropagation(True)
        return np.asarray(search.calc(eight_bits(first), eight_bits(second), None), np.float32)

    def _coarsest_scale(self, height: int, width: int) -> int:
        """Where OpenCV begins. With a finest scale beyond it, OpenCV chooses other scales and reads outside of its images."""
        widest = int(math.log2(max(height, width) / (4 * self.patch_size)) + 0.5)
        return min(widest, int(math.log2(min(height, width) // self.patch_size)))
