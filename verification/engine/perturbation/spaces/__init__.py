"""Manipulation spaces by name. A new space is one file here and one entry in `SPACES`."""

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.spaces.base import FlowSpace, Space
from verification.engine.perturbation.spaces.dense import Dense
from verification.engine.perturbation.spaces.pixels import Pixels
from verification.engine.perturbation.spaces.translation import Translation
from verification.engine.perturbation.units import Unit

SPACES: dict[str, type[FlowSpace] | type[Pixels]] = {space.name: space for space in (Dense, Translation, Pixels)}


def build_space(name: str, length: int, height: int, width: int, flows: tuple[int, ...] | None = None) -> Space:
    """The space called `name` for a clip of `length` frames of `height` x `width`.

    Raises SpecificationError for an unknown name, for flows that the clip does not have, and for flows where none change.
    """
    if name not in SPACES:
        raise SpecificationError(f"there is no space {name!r}; choose one of {', '.join(SPACES)}")
    return SPACES[name](length, height, width, flows)


def unit_of(name: str) -> Unit:
    """In what distances in the space called `name` are measured. Spaces not known (any more) are spaces of flows."""
    return SPACES[name].unit if name in SPACES else Unit.FLOW


__all__ = ["SPACES", "Dense", "FlowSpace", "Pixels", "Space", "Translation", "build_space", "unit_of"]
