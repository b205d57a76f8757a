"""Natural distortions as people meet them: what they are called, what they change in words, and which parameters they have."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from verification.engine.errors import SpecificationError
from verification.engine.perturbation import DISTORTIONS, Distortion, build_space, distortion_spellings, is_distortion
from verification.engine.perturbation.distortions import Superposition

#: What else is asked for by name as if it were a distortion: the options of `manage.py verify` that say the same.
ALIASES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"camera-shake": {"space": "translation"}, "flip": {"mirror": True}}
)
#: The parameters whose names alone would not say what is changed.
_SUBJECTS = {"opacity": "the opacity of the rectangle", "side": "the side of the square"}


def distortion_of(space: str, frames: int, height: int, width: int) -> Distortion | None:
    """The distortion written as `space`, for clips of that size; None for other spaces, and for words not known any more."""
    if not is_distortion(space):
        return None
    try:
        built = build_space(space, frames, height, width)
    except SpecificationError:
        return None
    return built if isinstance(built, Distortion) else None


def asked_by_name(name: str) -> Mapping[str, Any]:
    """The options that ask for the distortion, or for what goes by its name. Raises SpecificationError."""
    if name in ALIASES:
        return ALIASES[name]
    if not is_distortion(name):
        raise SpecificationError(
            f"there is no distortion {name[:80]!r}; choose one of {', '.join([*distortion_spellings(), *ALIASES])}, "
            "or a space of flows or pixels with --space"
        )
    return {"space": name}


def one_number(distortion: Distortion) -> bool:
    """Whether its size is the absolute value of one parameter, so that all norms are the same."""
    return sum(parameter.counts for parameter in distortion.parameters) == 1


def subject(distortion: Distortion, space: str) -> str:
    """What is changed: `the brightness`; with all that was said of it, so that no claim about it says too much."""
    counted = [parameter.name for parameter in distortion.parameters if parameter.counts]
    names = joined([_SUBJECTS.get(name, f"the {name}") for name in dict.fromkeys(counted)])
    together = "" if one_number(distortion) else " together"
    of_a_kind = len(set(counted)) < len(counted)
    return f"{names}{together}{f' ({space})' if ':' in space or of_a_kind else ''}"


def counted_names(distortion: Distortion) -> list[str]:
    """The parameters that count in the distance."""
    return [name for name, one in zip(distortion.names, distortion.parameters, strict=True) if one.counts]


def free_names(distortion: Distortion) -> list[str]:
    """The parameters that may be anything for nothing."""
    return [name for name, one in zip(distortion.names, distortion.parameters, strict=True) if not one.counts]


def free_parameters(distortion: Distortion) -> str:
    """The same in words, `down and across`; empty where all of them count."""
    return joined(free_names(distortion))


def summary_of(distortion: Distortion) -> str:
    """What it does, in a sentence or one for each part of a sum."""
    if isinstance(distortion, Superposition):
        parts = dict.fromkeys(part.summary for part in distortion.parts)
        return " ".join([*parts, "These changes are added up."])
    return distortion.summary


def title_of(name: str) -> str:
    """`occlusion-size` as it is printed: `Occlusion size`."""
    return name.replace("-", " ").capitalize()


def names() -> list[str]:
    """All distortions by name, a sum of them last."""
    return [*DISTORTIONS, Superposition.name]


def joined(words: list[str]) -> str:
    """`down, across and size`."""
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last
