"""`radius`: training that enlarges an estimate of the proven radius, in L2 (in the manner of MACER, Zhai et al., ICLR 2020).

What a linear bound of a margin loses in a ball of flows is, to first order, the radius times the margin's gradient, and
what relaxing ReLU costs: a neuron whose values stay on one side of its kink costs nothing, any other a part of its range
times its weight in the margin. Both are estimated for the first layer, where most neurons are. The estimate is no proof.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from verification.engine.errors import TrainingError
from verification.training.robust.loss import RobustLoss, closest_margins

#: Margins below this teach nothing about a radius; the plain loss has to make them larger first.
_LEAST = 0.05
_TINY = 1e-12


@dataclass(frozen=True)
class RadiusLoss(RobustLoss):
    """The plain loss less `share` times the mean logarithm of the estimate, for clips that are named right.

    `radius`: at which ball the ranges of neurons are estimated, pixels, L2 over the whole clip; the larger, the fewer of
    them stay on one side. `most`: estimates above this many radii are large enough.
    """

    most: float = 4.0

    name: ClassVar[str] = "radius"

    def loss(self, network: nn.Module, clips: Tensor, labels: Tensor, plain: Tensor, progress: float) -> Tensor:
        growing = min(1.0, progress / self.ramp)
        return plain + self.share * growing * self.worst_loss(network, clips, labels, self.radius)

    def worst_loss(self, network: nn.Module, clips: Tensor, labels: Tensor, radius: float) -> Tensor:
        estimate, right = self.estimates(network, clips, labels, radius)
        return -(torch.log(estimate).clamp(max=torch.tensor(self.most * radius).log().item()) * right).mean()

    def estimates(self, network: nn.Module, clips: Tensor, labels: Tensor, radius: float) -> tuple[Tensor, Tensor]:
        """(n,) the radius, in pixels, up to which margins would be proven, and (n,) whether clips are named right."""
        watched = clips.detach().clone().requires_grad_(True)
        layer = _first_layer(network)
        logits, before, after = _observed(network, layer.relu, watched)
        margins = closest_margins(logits, labels)
        by_pixel, by_neuron = torch.autograd.grad(margins.sum(), (watched, after), create_graph=True)
        relaxed = _relaxed(before, by_neuron, layer.ranges(clips, radius), len(clips))
        fall = radius * _flow_gradient(by_pixel, clips) + relaxed
        return radius * margins.clamp_min(_LEAST) / (fall + _TINY), (margins > _LEAST).detach()


class _FirstLayer(NamedTuple):
    """The convolution that reads the clip, and the ReLU behind it."""

    convolution: nn.Conv2d | nn.Conv3d
    relu: nn.ReLU

    def ranges(self, clips: Tensor, radius: float) -> Tensor:
        """By how much each neuron may change, of the shape of the convolution's output but for a batch of clips.

        A pixel's value changes by its slope times its displacement; the slopes are the steepest nearby, in any channel,
        as they are for displacements of a pixel or so. A flow moves all frames behind it: Hoelder for each flow and
        pixel, where the weights of all frames that move add up.
        """
        weight = self.convolution.weight
        frames = weight.abs().sum(1) if weight.dim() == 5 else weight.abs().sum(1, keepdim=True)  # (c, k, kh, kw)
        length, stride, padding = frames.shape[1], *self._in_time()
        behind = frames.flip(1).cumsum(1).flip(1).square()  # what moves with the flow before each frame of the window
        slopes = functional.pad(_steepest(clips), (0, 0, 0, 0, padding, padding))
        windows = slopes.unfold(1, length, stride).mean(-1)  # (n, steps, h, w)
        starts = torch.arange(windows.shape[1], device=clips.device) * stride - padding
        inside = self._over_space(windows, behind[:, 1:].sum(1))
        whole = self._over_space(windows, behind[:, 0])
        earlier = starts.clamp_min(0).view(1, -1, 1, 1, 1).to(clips)
        ranges = radius * (earlier * whole + inside + _TINY).sqrt()  # (n, steps, c, h', w')
        return ranges.transpose(1, 2) if weight.dim() == 5 else ranges.flatten(0, 1)

    def _in_time(self) -> tuple[int, int]:
        """Stride and padding over frames."""
        if isinstance(self.convolution, nn.Conv2d):
            return 1, 0
        return self.convolution.stride[0], int(self.convolution.padding[0])

    def _over_space(self, windows: Tensor, weights: Tensor) -> Tensor:
        """Sums of `windows` (n, steps, h, w) with `weights` (c, kh, kw) over the places that each neuron sees."""
        stride, padding = self.convolution.stride[-2:], self.convolution.padding[-2:]
        sums = functional.conv2d(windows.flatten(0, 1).unsqueeze(1), weights.unsqueeze(1), None, stride, padding)
        return sums.unflatten(0, windows.shape[:2])


def _first_layer(network: nn.Module) -> _FirstLayer:
    modules = list(network.modules())
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d | nn.Conv3d)]
    kinks = [module for module in modules if isinstance(module, nn.ReLU)]
    if not convolutions or not kinks or isinstance(convolutions[0].padding, str):
        raise TrainingError("the robust loss 'radius' needs a network that begins with a convolution and ReLU")
    return _FirstLayer(convolutions[0], kinks[0])


def _observed(network: nn.Module, relu: nn.ReLU, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The logits, and what goes into and comes out of `relu` on the way."""
    seen: list[Tensor] = []

    def watch(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.extend((inputs[0], output))

    handle = relu.register_forward_hook(watch)
    try:
        logits = network(clips)
    finally:
        handle.remove()
    return logits, seen[0], seen[1]


def _relaxed(before: Tensor, by_neuron: Tensor, ranges: Tensor, clips: int) -> Tensor:
    """(n,): what relaxing ReLU costs a margin: for each neuron its weight times the height of the chord over the kink."""
    heights = functional.relu(ranges.square() - before.square()) / (2 * ranges)
    return (by_neuron.abs() * heights).reshape(clips, -1).sum(1)


def _flow_gradient(by_pixel: Tensor, clips: Tensor) -> Tensor:
    """(n,): the L2 norm of a margin's gradient with respect to the flows, from that with respect to the pixels."""
    across, down = torch.zeros_like(clips), torch.zeros_like(clips)
    across[..., 1:-1] = (clips[..., 2:] - clips[..., :-2]) / 2
    down[..., 1:-1, :] = (clips[..., 2:, :] - clips[..., :-2, :]) / 2
    moved = torch.stack([(by_pixel * across).sum(2), (by_pixel * down).sum(2)], 2)
    # The flow between two frames moves all later ones.
    flows = moved[:, 1:].flip(1).cumsum(1)
    return (flows.flatten(1).square().sum(1) + _TINY).sqrt()


@torch.no_grad()
def _steepest(clips: Tensor) -> Tensor:
    """(n, l, h, w): the squared length of the steepest slopes along x and y in the 3x3 pixels around each, in any channel."""
    across = functional.pad((clips[..., 1:] - clips[..., :-1]).abs().amax(2), (0, 1))
    down = functional.pad((clips[..., 1:, :] - clips[..., :-1, :]).abs().amax(2), (0, 0, 0, 1))
    near = (functional.max_pool2d(slopes, 3, 1, 1).square() for slopes in (across, down))
    return sum(near, torch.zeros_like(across))
