"""What a classifier expects of a clip (engine contract, section 1), and the module that makes it so."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn

from verification.engine.clip import build_sampling
from verification.engine.errors import ClassifierError, ClipError

#: Limits against absurd input, far above what a classifier of clips takes.
MIN_FRAMES, MAX_FRAMES = 2, 512
MIN_SIDE, MAX_SIDE = 8, 1024


class Channels(StrEnum):
    """The order of the colour channels in which the network was trained."""

    RGB = "rgb"
    BGR = "bgr"


class AxisOrder(StrEnum):
    """The axes of the network's input: n for a batch of one clip, t for frames, c for channels, h and w."""

    NTCHW = "ntchw"
    NCTHW = "ncthw"
    NTHWC = "nthwc"
    TCHW = "tchw"
    CTHW = "cthw"
    THWC = "thwc"

    @property
    def has_batch(self) -> bool:
        return self.value.startswith("n")

    def shape(self, frames: int, height: int, width: int) -> tuple[int, ...]:
        """The shape of the network's input for one clip."""
        sizes = {"n": 1, "t": frames, "c": 3, "h": height, "w": width}
        return tuple(sizes[axis] for axis in self.value)


class ValueRange(StrEnum):
    """Which values stand for black and white, before mean and standard deviation."""

    UNIT = "0..1"
    BYTES = "0..255"
    SIGNED = "-1..1"

    @property
    def ends(self) -> tuple[float, float]:
        low, high = self.value.split("..")
        return float(low), float(high)


@dataclass(frozen=True)
class InputSpecification:
    """The clip that a classifier wants: `frames` sampled by the rule `sampling`, resized to `height` x `width` pixels.

    `channels`, `order`, `range`: how its values are laid out and scaled; then `mean` is subtracted and the rest divided by
    `deviation`, if given: one number for each channel, in the classifier's own order and scale.
    """

    frames: int
    height: int
    width: int
    channels: Channels = Channels.RGB
    sampling: str = "uniform"
    order: AxisOrder = AxisOrder.NTCHW
    range: ValueRange = ValueRange.UNIT
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not MIN_FRAMES <= self.frames <= MAX_FRAMES:
            raise ClassifierError(f"a clip has {MIN_FRAMES} to {MAX_FRAMES} frames, not {self.frames}")
        if not all(MIN_SIDE <= side <= MAX_SIDE for side in (self.height, self.width)):
            raise ClassifierError(
                f"frames are {MIN_SIDE} to {MAX_SIDE} pixels high and wide, not {self.height}x{self.width}"
            )
        for field, kind, what in (
            ("channels", Channels, "channel order"),
            ("order", AxisOrder, "order of the axes"),
            ("range", ValueRange, "range of values"),
        ):
            value = getattr(self, field)
            if value not in set(kind):
                known = " or ".join(", ".join(kind).rsplit(", ", 1))
                raise ClassifierError(f"there is no {what} {str(value)!r}; choose {known}")
            object.__setattr__(self, field, kind(value))
        for field in ("mean", "deviation"):
            if getattr(self, field) is not None:
                object.__setattr__(self, field, _triple(field, getattr(self, field)))
        if self.deviation is not None and min(map(abs, self.deviation)) < 1e-6:
            raise ClassifierError("the standard deviation must not hold a zero")
        try:
            build_sampling(self.sampling)
        except ClipError as error:
            raise ClassifierError(str(error)) from None

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(1, l, 3, h, w): of clips, whatever the network's own order."""
        return 1, self.frames, 3, self.height, self.width

    @property
    def network_shape(self) -> tuple[int, ...]:
        """Of what the network itself takes."""
        return self.order.shape(self.frames, self.height, self.width)

    @property
    def plain(self) -> bool:
        """Whether the network takes clips as they are."""
        as_they_are = (Channels.RGB, AxisOrder.NTCHW, ValueRange.UNIT, None, None)
        return (self.channels, self.order, self.range, self.mean, self.deviation) == as_they_are


def _triple(field: str, values: Sequence[float]) -> tuple[float, ...]:
    what = {"mean": "mean", "deviation": "standard deviation"}[field]
    if len(values) != 3:
        raise ClassifierError(f"the {what} must be three numbers, one for each channel, not {len(values)}")
    if not all(math.isfinite(value) for value in values):
        raise ClassifierError(f"the {what} holds a number that is not finite")
    return tuple(float(value) for value in values)


class Prepared(nn.Module):
    """A network behind what it was trained with: channel order, range, (x - mean) / deviation per channel, order of the axes."""

    def __init__(self, network: nn.Module, input: InputSpecification) -> None:
        super().__init__()
        self.network, self.order = network, input.order
        self.flip = input.channels is Channels.BGR
        self.low, self.high = input.range.ends
        self.normalise = input.mean is not None or input.deviation is not None
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(input.mean or (0.0, 0.0, 0.0)).view(1, 1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(input.deviation or (1.0, 1.0, 1.0)).view(1, 1, 3, 1, 1))

    def prepare(self, clips: Tensor) -> Tensor:
        """Clips (n, l, 3, h, w) as the network takes them."""
        if self.flip:
            clips = clips.flip(2)
        if (self.low, self.high) != (0.0, 1.0):
            clips = clips * (self.high - self.low) + self.low
        if self.normalise:
            clips = (clips - self.mean) / self.deviation
        return arranged(clips, self.order)

    def forward(self, clips: Tensor) -> Tensor:
        logits: Tensor = self.network(self.prepare(clips))
        return logits if self.order.has_batch else logits.reshape(1, -1)


def arranged(clip: Tensor, order: AxisOrder) -> Tensor:
    """A clip (n, l, 3, h, w) with its axes in another order; one without n takes one clip only."""
    if order.has_batch:
        return clip if order is AxisOrder.NTCHW else clip.permute(["ntchw".index(axis) for axis in order.value])
    single = clip.squeeze(0)
    return single if order is AxisOrder.TCHW else single.permute(["tchw".index(axis) for axis in order.value])
