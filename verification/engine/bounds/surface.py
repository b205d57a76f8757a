"""Functions that are bilinear between lines of the plane, as a sum of what many of them can share (docs/bounds.md, "Cells")."""

from dataclasses import dataclass

import torch
from torch import Tensor

_TINY = 1e-12  # pixels: lines nearer to each other do not count as apart


@dataclass(frozen=True)
class Surface:
    """`f(s, t) = middle + slopes . (s, t) + sum_g shared[g] w_g + e` with `|w_g| <= 1` and `|e| <= error`.

    The `w` are the same functions of (s, t) wherever the lines are the same: first `s t`, then hats that belong to the nodes
    inside. Where nothing is shared they count as error. All of one shape, with a first axis in `slopes` and `shared`.
    """

    middle: Tensor
    slopes: Tensor
    shared: Tensor
    error: Tensor

    @classmethod
    def through(cls, seen: Tensor, x: Tensor, y: Tensor, told: Tensor) -> "Surface":
        """The surface that is bilinear between its values `seen` (S, T, *shape) at `x` (S, ...) and `y` (T, ...), both rising.

        `told`: where to share. `x`, `y` and `told` are broadcast to the shape.

        First the bilinear function through the corners, of which `s t` is shared. What remains is the same at all corners, and
        elsewhere a mean of what it is at the nodes, whose weights, the hats, depend on (s, t) alone.
        """
        ends = x[-1].clamp(min=_TINY), y[-1].clamp(min=_TINY)
        (least, far), (near, most) = (seen[0, 0], seen[0, -1]), (seen[-1, 0], seen[-1, -1])
        slopes = torch.stack([(near + most - least - far) / (4 * ends[0]), (far + most - least - near) / (4 * ends[1])])
        twist = torch.where(told, (most - near - far + least) / 4, 0.0)
        s, t = x[:, None], y[None]
        rest = seen - slopes[0] * s - slopes[1] * t - twist * (s / ends[0]) * (t / ends[1])
        corner = _corners(len(x), len(y), seen.device)
        corners, inner = rest[corner], rest[~corner]
        base = corners.mean(0)
        left = torch.cat([corners, torch.where(told, base, inner)])
        low, high = left.amin(0), left.amax(0)
        real = (_apart(x)[:, None] & _apart(y)[None])[~corner]
        hats = torch.where(told & real, inner - base, 0.0) / 2
        return cls((low + high) / 2 + hats.sum(0), slopes, torch.cat([twist.unsqueeze(0), hats]), (high - low) / 2)


def _corners(across: int, down: int, device: torch.device) -> Tensor:
    """(across, down): which nodes are corners."""
    ends = [torch.arange(count, device=device) % (count - 1) == 0 for count in (across, down)]
    return ends[0][:, None] & ends[1]


def _apart(nodes: Tensor) -> Tensor:
    """Which of rising nodes (S, ...) are not there already, as sides or as the node before."""
    inner = (nodes[1:-1] > nodes[:-2]) & (nodes[1:-1] < nodes[-1:])
    return torch.cat(
        [torch.ones_like(nodes[:1], dtype=torch.bool), inner, torch.ones_like(nodes[:1], dtype=torch.bool)]
    )
