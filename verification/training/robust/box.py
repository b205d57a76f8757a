"""Interval bound propagation: a network runs on boxes instead of clips (Gowal et al., ICCV 2019), differentiable in its weights.

For training only. The rules are those of `engine.network.operations` without the margins for rounding, and on live
parameters: a proof is the engine's, made afterwards of the trained network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from verification.engine.errors import TrainingError


class Affine(NamedTuple):
    """What a box was made from by a linear layer, so that differences of its elements can be bounded as one."""

    source: Box
    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True, eq=False)
class Box:
    """`lower <= x <= upper` element by element. Passes through modules and functions as a tensor would."""

    lower: Tensor
    upper: Tensor
    origin: Affine | None = None

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Iterable[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        name = function.__name__
        if name not in _RULES:
            raise TrainingError(
                f"interval training has no rule for {name!r}; choose another architecture or --robust flow"
            )
        return _RULES[name](*args, **(kwargs or {}))

    @property
    def centre(self) -> Tensor:
        return (self.lower + self.upper) / 2

    @property
    def radius(self) -> Tensor:
        """Half the width, not negative."""
        return (self.upper - self.lower) / 2

    @property
    def shape(self) -> torch.Size:
        return self.lower.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.lower.dtype

    @property
    def device(self) -> torch.device:
        return self.lower.device

    def dim(self) -> int:
        return self.lower.dim()

    def size(self, axis: int) -> int:
        return self.lower.size(axis)

    def new_zeros(self, *shape: int) -> Tensor:
        return self.lower.new_zeros(*shape)

    def both(self, rule: Callable[[Tensor], Tensor]) -> Box:
        """The box under a function that rises in every element, or only moves elements."""
        return Box(rule(self.lower), rule(self.upper))

    def flatten(self, *axes: int) -> Box:
        return self.both(lambda x: x.flatten(*axes))

    def unflatten(self, axis: int, sizes: Sequence[int]) -> Box:
        return self.both(lambda x: x.unflatten(axis, tuple(sizes)))

    def view(self, *shape: int) -> Box:
        return self.both(lambda x: x.reshape(*shape))

    def reshape(self, *shape: int) -> Box:
        return self.both(lambda x: x.reshape(*shape))

    def transpose(self, first: int, second: int) -> Box:
        return self.both(lambda x: x.transpose(first, second))

    def permute(self, *axes: Any) -> Box:
        return self.both(lambda x: x.permute(*axes))

    def flip(self, *axes: int) -> Box:
        return self.both(lambda x: x.flip(*axes))

    def chunk(self, count: int, axis: int = 0) -> tuple[Box, ...]:
        parts = zip(self.lower.chunk(count, axis), self.upper.chunk(count, axis), strict=True)
        return tuple(Box(lower, upper) for lower, upper in parts)

    def __getitem__(self, index: Any) -> Box:
        return self.both(lambda x: x[index])

    def __add__(self, other: Box | Tensor | float) -> Box:
        if isinstance(other, Box):
            return Box(self.lower + other.lower, self.upper + other.upper)
        return self.both(lambda x: x + other)

    def __sub__(self, other: Tensor | float) -> Box:
        return self.both(lambda x: x - other)

    def __mul__(self, other: Box | Tensor | float) -> Box:
        if not isinstance(other, Box):
            size = other.abs() if isinstance(other, Tensor) else abs(other)
            return _around(self.centre * other, self.radius * size)
        corners = torch.stack([a * b for a in (self.lower, self.upper) for b in (other.lower, other.upper)])
        return Box(corners.amin(0), corners.amax(0))

    def __truediv__(self, other: Tensor | float) -> Box:
        return self * (1 / other)


def margins(logits: Box, labels: Tensor) -> Tensor:
    """The least `z_label - z_j` over the box for every class j, (n, classes); zero for the label itself.

    `logits`: (n, classes), as a network gives them; if a linear layer made them, the difference is bounded through it.
    """
    count = logits.shape[0]
    rows = torch.arange(count, device=labels.device)
    if logits.origin is None:
        least = logits.lower[rows, labels].unsqueeze(1) - logits.upper
        return least.scatter(1, labels.unsqueeze(1), 0.0)
    source, weight, bias = logits.origin
    differences = weight[labels].unsqueeze(1) - weight.unsqueeze(0)
    offsets = 0.0 if bias is None else bias[labels].unsqueeze(1) - bias.unsqueeze(0)
    middle = torch.einsum("nd,ncd->nc", source.centre, differences) + offsets
    return middle - torch.einsum("nd,ncd->nc", source.radius, differences.abs())


def _around(centre: Tensor, radius: Tensor) -> Box:
    return Box(centre - radius, centre + radius)


def linear(box: Box, weight: Tensor, bias: Tensor | None = None) -> Box:
    """What a linear layer makes of a box (..., d); the box remembers it, for `margins`."""
    centre, radius = functional.linear(box.centre, weight, bias), functional.linear(box.radius, weight.abs())
    return Box(centre - radius, centre + radius, Affine(box, weight, bias))


def _convolution(function: Callable[..., Tensor]) -> Callable[..., Box]:
    def rule(box: Box, weight: Tensor, bias: Tensor | None = None, *options: Any) -> Box:
        return _around(function(box.centre, weight, bias, *options), function(box.radius, weight.abs(), None, *options))

    return rule


def _rising(function: Callable[..., Tensor]) -> Callable[..., Box]:
    return lambda box, *options, **more: box.both(lambda x: function(x, *options, **more))


def _cat(parts: Sequence[Box | Tensor], axis: int = 0) -> Box:
    boxes = [part if isinstance(part, Box) else Box(part, part) for part in parts]
    return Box(torch.cat([box.lower for box in boxes], axis), torch.cat([box.upper for box in boxes], axis))


def _joined(box: Box, state: Box, weights: Sequence[Tensor]) -> Box:
    return linear(box, weights[0], weights[2]) + linear(state, weights[1], weights[3])


def lstm_cell(gates: Box, memory: Box) -> tuple[Box, Box]:
    """The next state and memory of an LSTM from what enters its gates, (n, 4 hidden), and its memory, (n, hidden)."""
    entering, kept, new, shown = gates.chunk(4, 1)
    memory = kept.both(torch.sigmoid) * memory + entering.both(torch.sigmoid) * new.both(torch.tanh)
    return shown.both(torch.sigmoid) * memory.both(torch.tanh), memory


def _lstm_step(box: Box, state: Box, memory: Box, weights: Sequence[Tensor]) -> tuple[Box, Box]:
    return lstm_cell(_joined(box, state, weights), memory)


def _gru_step(box: Box, state: Box, _: Box, weights: Sequence[Tensor]) -> tuple[Box, Box]:
    reset, update, new = linear(box, weights[0], weights[2]).chunk(3, 1)
    reset_state, update_state, new_state = linear(state, weights[1], weights[3]).chunk(3, 1)
    kept = (update + update_state).both(torch.sigmoid)
    candidate = (new + (reset + reset_state).both(torch.sigmoid) * new_state).both(torch.tanh)
    # An average of the candidate and the state rises in both, and is linear in the weight `kept`.
    ends = [_mixed(candidate, state, share) for share in (kept.lower, kept.upper)]
    return Box(torch.minimum(ends[0].lower, ends[1].lower), torch.maximum(ends[0].upper, ends[1].upper)), state


def _mixed(new: Box, old: Box, share: Tensor) -> Box:
    return Box((1 - share) * new.lower + share * old.lower, (1 - share) * new.upper + share * old.upper)


def _recurrent(step: Callable[[Box, Box, Box, Sequence[Tensor]], tuple[Box, Box]]) -> Callable[..., Any]:
    """The rule of torch's recurrent layers with a bias, in one direction, the batch first, from a state of zeros."""

    def rule(box: Box, _: Any, weights: Sequence[Tensor], *options: Any) -> tuple[Box, None, None]:
        for layer in range(len(weights) // 4):
            own = weights[4 * layer : 4 * layer + 4]
            zeros = box.new_zeros(box.size(0), own[1].shape[1])
            state = memory = Box(zeros, zeros)
            states = []
            for moment in range(box.size(1)):
                state, memory = step(box[:, moment], state, memory, own)
                states.append(state)
            box = Box(torch.stack([s.lower for s in states], 1), torch.stack([s.upper for s in states], 1))
        return box, None, None

    return rule


_RULES: Mapping[str, Callable[..., Any]] = {
    "linear": linear,
    "conv2d": _convolution(torch.conv2d),
    "conv3d": _convolution(torch.conv3d),
    "relu": _rising(functional.relu),
    "sigmoid": _rising(torch.sigmoid),
    "tanh": _rising(torch.tanh),
    "max_pool2d": _rising(functional.max_pool2d),
    "max_pool3d": _rising(functional.max_pool3d),
    "avg_pool2d": _rising(functional.avg_pool2d),
    "cat": _cat,
    "lstm": _recurrent(_lstm_step),
    "gru": _recurrent(_gru_step),
}


def propagated(network: nn.Module, box: Box) -> Box:
    """The logits (n, classes) that `network` can give on the clips of `box` (n, l, 3, h, w).

    Raises TrainingError for a network with an operation that has no rule here.
    """
    logits = network(box)
    assert isinstance(logits, Box)
    return logits
