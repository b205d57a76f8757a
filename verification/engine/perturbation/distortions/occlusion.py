"""`occlusion`, `occlusion-size`: a rectangle of one colour lies over every frame, as dirt or a finger on the lens does."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.network.lowering import Lowering, Reference, Value
from verification.engine.network.operations.arithmetic import Add, Affine
from verification.engine.network.operations.clamp import Clamp
from verification.engine.network.operations.linear import Linear
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.shape import Expand, Reshape
from verification.engine.perturbation.distortions.arguments import read_arguments, read_pair, read_share
from verification.engine.perturbation.distortions.base import Distortion, Parameter
from verification.engine.perturbation.distortions.linear import LinearDistortion
from verification.engine.perturbation.spaces.base import Setting
from verification.engine.perturbation.units import Unit

_COLOURS = {"black": 0.0, "grey": 0.5, "white": 1.0}
_ANYWHERE = "anywhere"
_SIZE, _AT, _COLOUR = "8x8", "12x20", "black"  # as examples


@dataclass(frozen=True)
class Side:
    """The rectangle along one axis of `size` pixels: from `first` to `last`, each a number and its slopes in the parameters (K,).

    Pixel i reaches from i to i + 1, and counts by the share of it that is covered.
    """

    size: int
    first: tuple[float, Tensor]
    last: tuple[float, Tensor]

    def emit(self, graph: Lowering, parameters: Reference) -> Value:
        """(1, size): the covered share of each pixel, `clamp(last - i, 0, 1) - clamp(first - i, 0, 1)`."""
        pixels = torch.arange(self.size, dtype=torch.float64)
        ends = []
        for place, slopes in (self.last, self.first):
            weight = slopes.double().unsqueeze(1).expand(-1, self.size).contiguous()
            ends.append(graph.emit(Clamp(0.0, 1.0), graph.emit(Linear(weight, place - pixels), parameters)))
        return graph.emit(Add(-1), *ends)


def _spread(graph: Lowering, x: Value, shape: tuple[int, ...], whole: tuple[int, ...]) -> Value:
    """A value in another shape, then repeated up to `whole`."""
    return graph.emit(Expand(whole), graph.emit(Reshape(shape), x))


def _covered(graph: Lowering, rows: Side, columns: Side, parameters: Reference) -> Value:
    """(1, 1, 1, h, w): the covered share of each pixel."""
    picture = (1, 1, 1, rows.size, columns.size)
    down = _spread(graph, rows.emit(graph, parameters), (1, 1, 1, rows.size, 1), picture)
    across = _spread(graph, columns.emit(graph, parameters), (1, 1, 1, 1, columns.size), picture)
    return graph.emit(Product(), down, across)


def _painted(graph: Lowering, frames: Tensor, cover: Value, colour: float) -> None:
    """`v + cover (colour - v)`."""
    whole = (1, *frames.shape)
    graph.emit(Affine((colour - frames).unsqueeze(0), frames.unsqueeze(0)), graph.emit(Expand(whole), cover))


@dataclass(frozen=True)
class Rectangle:
    """`height` x `width` pixels of `colour`; its upper left corner at `top`, `left`, None if it may be anywhere."""

    height: float
    width: float
    corner: tuple[float, float] | None
    colour: float

    @classmethod
    def read(cls, name: str, setting: Setting, argument: str) -> Self:
        """Without more it covers the middle half of each side, in black."""
        said = read_arguments(name, argument, {"size": _SIZE, "at": _AT, "colour": _COLOUR})
        height, width = setting.height / 2, setting.width / 2
        if "size" in said:
            height, width = read_pair(name, "size", said["size"], "height and width in pixels, such as 8x8")
        if not (0 < height <= setting.height and 0 < width <= setting.width):
            raise SpecificationError(
                f"the rectangle of the distortion {name!r} must be from above 0x0 to {setting.height}x{setting.width} pixels, "
                f"not {height:g}x{width:g}"
            )
        corner: tuple[float, float] | None = ((setting.height - height) / 2, (setting.width - width) / 2)
        if said.get("at") == _ANYWHERE:
            corner = None
        elif "at" in said:
            corner = read_pair(
                name, "at", said["at"], f"row and column of its upper left corner, such as {_AT}, or anywhere"
            )
            if corner[0] + height > setting.height or corner[1] + width > setting.width:
                raise SpecificationError(
                    f"the rectangle of the distortion {name!r} does not lie within frames of {setting.height}x{setting.width}: "
                    f"{height:g}x{width:g} at {corner[0]:g}x{corner[1]:g}"
                )
        return cls(height, width, corner, read_share(name, "colour", said.get("colour", _COLOUR), _COLOURS))


class Occlusion(LinearDistortion):
    """A rectangle of one size becomes opaque where it is: `v + p cover (colour - v)`, with p from 0 to 1."""

    name = "occlusion"
    example = f"occlusion:size={_SIZE},at={_AT},colour={_COLOUR}"
    unit = Unit.SHARE
    summary = "A rectangle of one colour covers every frame, more or less opaque."

    def __init__(self, length: int, height: int, width: int, rectangle: Rectangle) -> None:
        super().__init__(length, height, width, (Parameter("opacity", 0.0, 1.0),))
        self.rectangle = rectangle

    @classmethod
    def of(cls, setting: Setting, argument: str) -> Self:
        return cls(setting.length, setting.height, setting.width, Rectangle.read(cls.name, setting, argument))

    def directions(self, frames: Tensor) -> Tensor:
        assert self.rectangle.corner is not None
        top, left = self.rectangle.corner
        down = _share(self.height, top, top + self.rectangle.height)
        across = _share(self.width, left, left + self.rectangle.width)
        cover = (down.unsqueeze(1) * across).to(frames)
        return (cover * (self.rectangle.colour - frames)).unsqueeze(0)


def _share(size: int, first: float, last: float) -> Tensor:
    """(size,): how much of each pixel lies between `first` and `last`."""
    pixels = torch.arange(size, dtype=torch.float64)
    return (last - pixels).clamp(0, 1) - (first - pixels).clamp(0, 1)


class OcclusionAnywhere(Distortion):
    """The rectangle may lie anywhere in the frames; how opaque it is alone counts."""

    name = "occlusion"
    example = f"occlusion:size={_SIZE},at={_ANYWHERE}"
    unit = Unit.SHARE
    monotone = True
    summary = Occlusion.summary

    def __init__(self, length: int, height: int, width: int, rectangle: Rectangle) -> None:
        down, across = (height - rectangle.height) / 2, (width - rectangle.width) / 2
        position = (Parameter("down", -down, down, counts=False), Parameter("across", -across, across, counts=False))
        super().__init__(length, height, width, (Parameter("opacity", 0.0, 1.0), *position))
        self.rectangle = rectangle

    @classmethod
    def of(cls, setting: Setting, argument: str) -> Self:
        return cls(setting.length, setting.height, setting.width, Rectangle.read(cls.name, setting, argument))

    def emit(self, graph: Lowering, frames: Tensor, parameters: Reference) -> None:
        rows = self._side(self.height, self.rectangle.height, 1)
        columns = self._side(self.width, self.rectangle.width, 2)
        cover = _covered(graph, rows, columns, parameters)
        opacity = graph.emit(
            Linear(torch.eye(3, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)), parameters
        )
        picture = (1, 1, 1, self.height, self.width)
        _painted(
            graph,
            frames,
            graph.emit(Product(), cover, _spread(graph, opacity, (1,) * 5, picture)),
            self.rectangle.colour,
        )

    @staticmethod
    def _side(size: int, length: float, parameter: int) -> Side:
        moves = torch.eye(3, dtype=torch.float64)[parameter]
        return Side(size, ((size - length) / 2, moves), ((size + length) / 2, moves))


class OcclusionSize(Distortion):
    """An opaque square grows around the middle of a pixel; the parameter is its side, in pixels."""

    name = "occlusion-size"
    example = f"occlusion-size:at={_AT},colour={_COLOUR}"
    unit = Unit.SIDE
    monotone = True
    summary = "An opaque square of one colour grows over every frame."

    def __init__(self, length: int, height: int, width: int, middle: tuple[float, float], colour: float) -> None:
        super().__init__(length, height, width, (Parameter("side", 0.0, 2.0 * max(height, width)),))
        self.middle, self.colour = middle, colour

    @classmethod
    def of(cls, setting: Setting, argument: str) -> Self:
        said = read_arguments(cls.name, argument, {"at": _AT, "colour": _COLOUR})
        middle = (setting.height / 2, setting.width / 2)
        if "at" in said:
            row, column = read_pair(cls.name, "at", said["at"], f"row and column of its middle, such as {_AT}")
            if row >= setting.height or column >= setting.width:
                raise SpecificationError(
                    f"the square of the distortion {cls.name!r} must have its middle within frames of "
                    f"{setting.height}x{setting.width}, counted from 0; not at {row:g}x{column:g}"
                )
            middle = (row + 0.5, column + 0.5)
        colour = read_share(cls.name, "colour", said.get("colour", _COLOUR), _COLOURS)
        return cls(setting.length, setting.height, setting.width, middle, colour)

    def emit(self, graph: Lowering, frames: Tensor, parameters: Reference) -> None:
        half = torch.full((1,), 0.5, dtype=torch.float64)
        rows, columns = (
            Side(size, (place, -half), (place, half))
            for size, place in zip((self.height, self.width), self.middle, strict=True)
        )
        _painted(graph, frames, _covered(graph, rows, columns, parameters), self.colour)
