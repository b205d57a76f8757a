"""Imposing a manipulated flow on the frames (engine contract, section 2; the paper's Def. 5).

With `D_1 = 0` and `D_{t+1} = D_t + delta_t` the perturbed frame is `F'_t(x) = F_t(x - D_t(x))`, bilinear, edges
replicated. Moving the content of frame t by `D_t` changes the flow between t and t+1 by `D_{t+1} - D_t = delta_t` to
first order, so `P(v') = P(v) + delta`.
"""

import torch
from torch import Tensor


def displacements(delta: Tensor) -> Tensor:
    """Accumulated displacement of every frame.

    `delta`: (l-1, 2, h, w), pixels, component 0 horizontal (x), 1 vertical (y). Returns (l, 2, h, w); the first is zero.
    """
    return torch.cat([torch.zeros_like(delta[:1]), delta.cumsum(0)])


def warp(frames: Tensor, displacement: Tensor) -> Tensor:
    """`frames[t](x - displacement[t](x))`, bilinear, edges replicated; exact identity where the displacement is zero.

    `frames`: (l, c, h, w); `displacement`: (l, 2, h, w), pixels. Differentiable in the displacement.
    """
    length, channels, height, width = frames.shape
    rows = torch.arange(height, dtype=displacement.dtype, device=frames.device).view(1, height, 1)
    columns = torch.arange(width, dtype=displacement.dtype, device=frames.device).view(1, 1, width)
    x = (columns - displacement[:, 0]).clamp(0, width - 1)
    y = (rows - displacement[:, 1]).clamp(0, height - 1)
    left, top = (
        x.detach().floor().clamp(max=max(width - 2, 0)),
        y.detach().floor().clamp(max=max(height - 2, 0)),
    )
    fx, fy = (x - left).unsqueeze(1), (y - top).unsqueeze(1)
    flat = frames.reshape(length, channels, height * width)

    def corner(row: Tensor, column: Tensor) -> Tensor:
        index = row.clamp(max=height - 1).long() * width + column.clamp(max=width - 1).long()
        return flat.gather(2, index.view(length, 1, -1).expand(-1, channels, -1)).view_as(frames)

    upper = corner(top, left) * (1 - fx) + corner(top, left + 1) * fx
    lower = corner(top + 1, left) * (1 - fx) + corner(top + 1, left + 1) * fx
    return upper * (1 - fy) + lower * fy


def impose(frames: Tensor, delta: Tensor) -> Tensor:
    """The perturbed clip v' for the manipulated flow P(v) + delta. Shapes as in `warp` and `displacements`."""
    return warp(frames, displacements(delta))
