"""Manipulation spaces by name. A new space is one file here and one entry in `SPACES`.

A space is written as its name or, where it needs to know more, as `name:argument`: `dense`, `blocks:2x2`, `moving:0.9`.
"""

from collections.abc import Callable

from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.spaces.affine import Affine
from verification.engine.perturbation.spaces.base import FlowSpace, Setting, Space
from verification.engine.perturbation.spaces.blocks import Blocks, Translation
from verification.engine.perturbation.spaces.dense import Dense
from verification.engine.perturbation.spaces.moving import Moving
from verification.engine.perturbation.spaces.pixels import Pixels
from verification.engine.perturbation.spaces.window import Window
from verification.engine.perturbation.units import Unit

SPACES: dict[str, type[Space]] = {space.name: space for space in (Dense, Blocks, Moving, Translation, Affine, Pixels)}


def _no_flow() -> Tensor:
    raise SpecificationError("this space depends on the flow of the clip, which is not known here")


def build_space(
    text: str,
    length: int,
    height: int,
    width: int,
    flows: tuple[int, ...] | None = None,
    flow: Callable[[], Tensor] = _no_flow,
) -> Space:
    """The space written as `text` for a clip of `length` frames of `height` x `width`.

    `flow` gives P(v), (l-1, 2, h, w), pixels, to spaces that depend on it. Raises SpecificationError for an unknown name, an
    argument that does not fit, flows that the clip does not have, flows where none change, and a space without dimensions.
    """
    space, argument = _read(text)
    return space.build(Setting(length, height, width, flows, flow), argument)


def check_space(text: str, length: int, height: int, width: int, flows: tuple[int, ...] | None = None) -> None:
    """Raises SpecificationError as `build_space` does, but for what only the flow of the clip could tell."""
    space, argument = _read(text)
    space.check(Setting(length, height, width, flows, _no_flow), argument)


def name_of(text: str) -> str:
    """The name of the space written as `text`."""
    return text.partition(":")[0]


def unit_of(text: str) -> Unit:
    """In what distances in the space written as `text` are measured. Spaces not known (any more) are spaces of flows."""
    name = name_of(text)
    return SPACES[name].unit if name in SPACES else Unit.FLOW


def spellings() -> list[str]:
    """How spaces are written, with an example for what comes after a colon."""
    return [space.example for space in SPACES.values()]


def _read(text: str) -> tuple[type[Space], str]:
    name, colon, argument = text.partition(":")
    if name not in SPACES:
        raise SpecificationError(f"there is no space {name!r}; choose one of {', '.join(spellings())}")
    space = SPACES[name]
    if colon and not space.example.count(":"):
        raise SpecificationError(f"the space {name!r} is written without more: {name}, not {text}")
    return space, argument


__all__ = [
    "SPACES",
    "Affine",
    "Blocks",
    "Dense",
    "FlowSpace",
    "Moving",
    "Pixels",
    "Space",
    "Translation",
    "Window",
    "build_space",
    "check_space",
    "name_of",
    "spellings",
    "unit_of",
]
