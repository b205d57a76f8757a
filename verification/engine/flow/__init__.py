"""Optical flow: extractors by name. A new extractor is one file here and one entry in `EXTRACTORS`.

An extractor is written as its name, or with parameters after a colon: `farneback`, `farneback:winsize=21,levels=4`.
"""

from verification.engine.errors import SpecificationError
from verification.engine.flow.dis import DIS
from verification.engine.flow.extractor import Extractor
from verification.engine.flow.farneback import Farneback
from verification.engine.flow.horn_schunck import HornSchunck
from verification.engine.flow.lucas_kanade import LucasKanade

EXTRACTORS: dict[str, type[Extractor]] = {
    extractor.name: extractor for extractor in (Farneback, HornSchunck, LucasKanade, DIS)
}

DEFAULT_EXTRACTOR = Farneback.name


def build_extractor(text: str) -> Extractor:
    """The extractor written as `text`; its `spelled` is the one spelling that is recorded.

    Raises SpecificationError for an unknown name, a parameter that it does not have, and a value that is not allowed.
    """
    name, colon, argument = (part.strip() for part in text.partition(":"))
    if name not in EXTRACTORS:
        raise SpecificationError(f"there is no flow extractor {name[:40]!r}; choose one of {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name].read(argument) if colon else EXTRACTORS[name]()


__all__ = [
    "DEFAULT_EXTRACTOR",
    "DIS",
    "EXTRACTORS",
    "Extractor",
    "Farneback",
    "HornSchunck",
    "LucasKanade",
    "build_extractor",
]
