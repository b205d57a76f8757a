"""`linear`: training on worst-case margins by linear relaxation, then intervals (after CROWN-IBP, Zhang et al., ICLR 2020).

For `camera_motion` alone, and in L2: the layers between the clip and the gates of the LSTM are followed as one linear map,
so that what many neurons do together is less than the sum of what each may do; from the gates on intervals do.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from verification.engine.errors import TrainingError
from verification.engine.network.architectures.camera_motion import CameraMotionNetwork
from verification.training.robust.box import Box, linear, lstm_cell, margins
from verification.training.robust.loss import RobustLoss

#: Neurons that see the same pixels move together: by how much their common range exceeds that of independent ones.
_TOGETHER = 1.5
_TINY = 1e-12


@dataclass(frozen=True)
class LinearLoss(RobustLoss):
    """Trains on estimates of the least margins in the ball of `radius` pixels, L2 over the whole clip. No proof."""

    name: ClassVar[str] = "linear"

    def worst_loss(self, network: nn.Module, clips: Tensor, labels: Tensor, radius: float) -> Tensor:
        return functional.cross_entropy(-least_margins(network, clips, labels, radius), labels)


def least_margins(network: nn.Module, clips: Tensor, labels: Tensor, radius: float) -> Tensor:
    """(n, classes): an estimate of the least `z_label - z_j` in the ball; zero for the label itself.

    Raises TrainingError for another network than that of `camera_motion`.
    """
    if not isinstance(network, CameraMotionNetwork):
        raise TrainingError("the robust loss 'linear' is made for the architecture camera_motion; choose another loss")
    entering = _gates(network, clips, radius)
    zeros = clips.new_zeros(len(clips), network.lstm.hidden_size)
    state = memory = Box(zeros, zeros)
    _, weight, _, bias = network.lstm.all_weights[0]
    for step in range(entering.size(1)):
        state, memory = lstm_cell(entering[:, step] + linear(state, weight, bias), memory)
    return margins(linear(state, network.head.weight, network.head.bias), labels)


def _gates(network: CameraMotionNetwork, clips: Tensor, radius: float) -> Box:
    """(n, steps, 4 hidden): what enters the gates of the LSTM from the clip."""
    stem = network.stem((clips - 0.5).transpose(1, 2)).transpose(1, 2)  # (n, steps, channels, h, w)
    ranges = _ranges(network.stem, clips, radius)
    # On [s - range, s + range] ReLU lies between its chord and the line through zero with the chord's slope.
    slopes = ((stem + ranges) / (2 * ranges)).clamp(0, 1)
    heights = functional.relu(ranges.square() - stem.square()) / (2 * ranges)
    middle = slopes * stem + heights / 2
    reading, _, bias, _ = network.lstm.all_weights[0]
    weight = reading @ network.features.weight  # (4 hidden, channels * regions)
    pooled = network.pool.kernel_size
    area = int(pooled) ** 2 if isinstance(pooled, int) else int(pooled[0]) * int(pooled[1])
    common = functional.linear(_regions(network, (slopes * ranges).square()), weight.square()) / area
    apart = functional.linear(_regions(network, heights / 2), weight.abs())
    centre = functional.linear(network.features(_regions(network, middle)), reading, bias)
    radii = apart + _TOGETHER * (common + _TINY).sqrt()
    return Box(centre - radii, centre + radii)


def _regions(network: CameraMotionNetwork, pictures: Tensor) -> Tensor:
    """(n, steps, channels * regions): averages over regions of (n, steps, channels, h, w)."""
    pooled: Tensor = network.pool(pictures.flatten(0, 1)).flatten(1)
    return pooled.unflatten(0, pictures.shape[:2])


def _ranges(stem: nn.Conv3d, clips: Tensor, radius: float) -> Tensor:
    """(n, steps, channels, h, w): by how much each neuron of the stem may change.

    A pixel's value changes by its slope times its displacement; the slopes are the steepest nearby, in any channel, as they
    are for displacements of a pixel or so. A flow moves all frames behind it: Hoelder for each flow and pixel, where the
    weights of all frames that move add up.
    """
    frames = stem.weight.abs().sum(1)  # (channels, frames, h, w)
    length, stride = frames.shape[1], stem.stride[0]
    behind = frames.flip(1).cumsum(1).flip(1).square()  # what moves with the flow before each frame of the window
    windows = _steepest(clips).unfold(1, length, stride).mean(-1)
    inside = _over_space(stem, windows, behind[:, 1:].sum(1))
    whole = _over_space(stem, windows, behind[:, 0])
    earlier = (torch.arange(windows.shape[1], device=clips.device) * stride).view(1, -1, 1, 1, 1).to(clips)
    return radius * (earlier * whole + inside + _TINY).sqrt()


def _over_space(stem: nn.Conv3d, windows: Tensor, weights: Tensor) -> Tensor:
    """(n, steps, channels, h, w): sums of `windows` with `weights` (channels, kh, kw) over the places that each neuron sees."""
    stride, padding = stem.stride[1:], stem.padding[1:]
    sums = functional.conv2d(windows.flatten(0, 1).unsqueeze(1), weights.unsqueeze(1), None, stride, padding)
    return sums.unflatten(0, windows.shape[:2])


@torch.no_grad()
def _steepest(clips: Tensor) -> Tensor:
    """(n, l, h, w): the squared length of the steepest slopes along x and y in the 3x3 pixels around each, in any channel."""
    across = functional.pad((clips[..., 1:] - clips[..., :-1]).abs().amax(2), (0, 1))
    down = functional.pad((clips[..., 1:, :] - clips[..., :-1, :]).abs().amax(2), (0, 0, 0, 1))
    near = (functional.max_pool2d(slopes, 3, 1, 1).square() for slopes in (across, down))
    return sum(near, torch.zeros_like(across))
