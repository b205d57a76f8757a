"""Optical flow: extractors by name. A new extractor is one file here and one entry in `EXTRACTORS`."""

from verification.engine.errors import SpecificationError
from verification.engine.flow.extractor import Extractor
from verification.engine.flow.farneback import Farneback

EXTRACTORS: dict[str, type[Extractor]] = {extractor.name: extractor for extractor in (Farneback,)}

DEFAULT_EXTRACTOR = Farneback.name


def build_extractor(name: str) -> Extractor:
    """The extractor called `name`. Raises SpecificationError for an unknown one."""
    if name not in EXTRACTORS:
        raise SpecificationError(f"there is no flow extractor {name!r}; choose one of {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name]()


__all__ = ["DEFAULT_EXTRACTOR", "EXTRACTORS", "Extractor", "Farneback", "build_extractor"]
