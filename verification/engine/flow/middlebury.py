"""Flow as a Middlebury `.flo` file, which most programs for optical flow read.

Format (vision.middlebury.edu/flow/code/flow-code/README.txt), all little-endian: the float32 202021.25, width and height as
int32, then for every pixel, row by row, the horizontal and the vertical component as float32, pixels.
"""

import struct

import numpy as np
from numpy.typing import NDArray

_TAG = 202021.25


def flo_bytes(field: NDArray[np.floating]) -> bytes:
    """`field`: (h, w, 2), pixels, component 0 horizontal; rounded to float32."""
    height, width = field.shape[:2]
    return struct.pack("<fii", _TAG, width, height) + np.ascontiguousarray(field, dtype="<f4").tobytes()
