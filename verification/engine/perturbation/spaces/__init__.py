"""Manipulation spaces by name. A new space is one file here and one entry in `SPACES`."""

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.spaces.base import Space
from verification.engine.perturbation.spaces.dense import Dense
from verification.engine.perturbation.spaces.translation import Translation

SPACES: dict[str, type[Space]] = {space.name: space for space in (Dense, Translation)}


def build_space(name: str, length: int, height: int, width: int, flows: tuple[int, ...] | None = None) -> Space:
    """The space called `name` for a clip of `length` frames of `height` x `width`.

    Raises SpecificationError for an unknown name or for flows that the clip does not have.
    """
    if name not in SPACES:
        raise SpecificationError(f"there is no space {name!r}; choose one of {', '.join(SPACES)}")
    return SPACES[name](length, height, width, flows)


__all__ = ["SPACES", "Dense", "Space", "Translation", "build_space"]
