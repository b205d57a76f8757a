"""Pictures between their pixels: linear from one to the next, edges replicated."""

import math

import torch
from torch import Tensor


def knots(reach: float) -> list[float]:
    """The whole numbers from -reach to reach and both ends."""
    whole = math.floor(reach)
    ends = {-reach, reach} if reach != whole else set()
    return sorted({float(n) for n in range(-whole, whole + 1)} | ends)


def shifted(frame: Tensor, axis: int, offset: float) -> Tensor:
    """`frame` at the position `offset` further along `axis` (-1 or -2), linear between pixels, edges replicated."""
    size = frame.shape[axis]
    index = torch.arange(size, device=frame.device)
    whole = math.floor(offset)
    fraction = offset - whole
    near = frame.index_select(axis, (index + whole).clamp(0, size - 1))
    if fraction == 0.0:
        return near
    far = frame.index_select(axis, (index + whole + 1).clamp(0, size - 1))
    return near + fraction * (far - near)
