"""Distortions that are linear in their parameters until values reach black or white: brightness, contrast, and their sums.

`clamp(v + sum_k p_k G_k, 0, 1)`, where each family has a direction G of its own in the space of clips.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.network.lowering import Lowering, Reference
from verification.engine.network.operations.clamp import Clamp
from verification.engine.network.operations.linear import Linear
from verification.engine.network.operations.shape import Reshape
from verification.engine.perturbation.distortions.arguments import read_arguments, read_frames
from verification.engine.perturbation.distortions.base import Distortion, Parameter
from verification.engine.perturbation.spaces.base import Setting
from verification.engine.perturbation.units import Unit

_GREY = 0.5  # what contrast leaves as it is


class LinearDistortion(Distortion):
    """Of K parameters and as many directions."""

    monotone = True

    @abstractmethod
    def directions(self, frames: Tensor) -> Tensor:
        """(K, l, 3, h, w): how the clip changes with each parameter."""

    def emit(self, graph: Lowering, frames: Tensor, parameters: Reference) -> None:
        weight = self.directions(frames).flatten(1).contiguous()
        changed = graph.emit(Linear(weight, frames.flatten().contiguous()), parameters)
        graph.emit(Clamp(0.0, 1.0), graph.emit(Reshape((1, *frames.shape)), changed))


class Brightness(LinearDistortion):
    """The same is added to every value of the chosen frames: `v + p`."""

    name = "brightness"
    example = "brightness:frames=3/5-8"
    unit = Unit.VALUE
    summary = "All values of all frames, or of chosen ones, are raised or lowered alike."

    def __init__(self, length: int, height: int, width: int, frames: tuple[int, ...]) -> None:
        super().__init__(length, height, width, (Parameter("brightness", -1.0, 1.0),))
        self.frames = frames

    @classmethod
    def of(cls, setting: Setting, argument: str) -> Self:
        said = read_arguments(cls.name, argument, {"frames": "3/5-8"})
        everything = f"1-{setting.length}"
        frames = read_frames(cls.name, said.get("frames", everything), setting.length)
        return cls(setting.length, setting.height, setting.width, frames)

    def directions(self, frames: Tensor) -> Tensor:
        chosen = torch.zeros_like(frames)
        chosen[[frame - 1 for frame in self.frames]] = 1.0
        return chosen.unsqueeze(0)


class Contrast(LinearDistortion):
    """Values move away from the middle grey, or towards it: `v + p (v - 1/2)`; at p = -1 all is grey."""

    name = "contrast"
    example = "contrast"
    unit = Unit.SHARE
    summary = "Dark becomes darker and light lighter, or both come nearer to grey."
    _MOST: ClassVar[float] = 7.0  # eight times the contrast

    @classmethod
    def of(cls, setting: Setting, argument: str) -> Self:
        read_arguments(cls.name, argument, {})
        return cls(setting.length, setting.height, setting.width, (Parameter("contrast", -1.0, cls._MOST),))

    def directions(self, frames: Tensor) -> Tensor:
        return (frames - _GREY).unsqueeze(0)


class Superposition(LinearDistortion):
    """Several at once, written with a plus: `brightness+contrast`. Their changes of the clip add up before values are limited.

    A brightness counts by its share of the whole range of values.
    """

    name = "sum"
    example = "brightness+contrast"
    unit = Unit.SHARE
    summary = "Brightness, contrast and occlusion at once."

    def __init__(self, parts: Sequence[LinearDistortion]) -> None:
        first = parts[0]
        super().__init__(first.length, first.height, first.width, tuple(p for part in parts for p in part.parameters))
        self.parts = parts

    @classmethod
    def of(cls, setting: Setting, argument: str) -> Self:
        raise SpecificationError(f"distortions are added up as in {cls.example}")

    def directions(self, frames: Tensor) -> Tensor:
        return torch.cat([part.directions(frames) for part in self.parts])
