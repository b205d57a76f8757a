"""From what was written to a space: of flows, of pixels, or a natural distortion.

A space is written as its name or, where it needs to know more, as `name:argument`: `dense`, `blocks:2x2`, `moving:0.9`,
`brightness`, `occlusion:size=8x8`.
"""

from collections.abc import Callable

from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.distortions import (
    DISTORTIONS,
    Superposition,
    build_distortion,
    distortion_unit,
    is_distortion,
)
from verification.engine.perturbation.spaces import SPACES, Setting, Space
from verification.engine.perturbation.units import Unit


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
    setting = Setting(length, height, width, flows, flow)
    if is_distortion(text):
        return build_distortion(setting, text)
    space, argument = _read(text)
    return space.build(setting, argument)


def check_space(text: str, length: int, height: int, width: int, flows: tuple[int, ...] | None = None) -> None:
    """Raises SpecificationError as `build_space` does, but for what only the flow of the clip could tell."""
    setting = Setting(length, height, width, flows, _no_flow)
    if is_distortion(text):
        build_distortion(setting, text)
        return
    space, argument = _read(text)
    space.check(setting, argument)


def name_of(text: str) -> str:
    """The name of the space written as `text`."""
    return text.partition(":")[0]


def unit_of(text: str) -> Unit:
    """In what distances in the space written as `text` are measured. Spaces not known (any more) are spaces of flows."""
    if is_distortion(text):
        return distortion_unit(text)
    name = name_of(text)
    return SPACES[name].unit if name in SPACES else Unit.FLOW


def spellings() -> list[str]:
    """How spaces are written, with an example for what comes after a colon."""
    return [space.example for space in SPACES.values()]


def distortion_spellings() -> list[str]:
    """The same of natural distortions."""
    return [*(kind.example for kind in DISTORTIONS.values()), Superposition.example]


def _read(text: str) -> tuple[type[Space], str]:
    name, colon, argument = text.partition(":")
    if name not in SPACES:
        raise SpecificationError(
            f"there is no space {name!r}; choose one of {', '.join(spellings())}, or a natural distortion: "
            f"{', '.join(distortion_spellings())}"
        )
    space = SPACES[name]
    if colon and not space.example.count(":"):
        raise SpecificationError(f"the space {name!r} is written without more: {name}, not {text}")
    return space, argument
