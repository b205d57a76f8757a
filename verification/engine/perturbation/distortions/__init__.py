"""Natural distortions by name (docs/distortions.md). A new one is one file here and one entry in `DISTORTIONS`.

They are written as their names or, where they need to know more, as `name:key=value,key=value`; linear ones are added up
with a plus.
"""

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.distortions.base import Distortion, Parameter
from verification.engine.perturbation.distortions.gamma import Gamma
from verification.engine.perturbation.distortions.linear import Brightness, Contrast, LinearDistortion, Superposition
from verification.engine.perturbation.distortions.occlusion import Occlusion, OcclusionAnywhere, OcclusionSize
from verification.engine.perturbation.distortions.warping import Rotation, Scale, Speed
from verification.engine.perturbation.spaces.base import Setting
from verification.engine.perturbation.units import Unit

_PLUS = "+"


def _occlusion(setting: Setting, argument: str) -> Distortion:
    """In one place, or anywhere."""
    occlusion = Occlusion.build(setting, argument)
    return OcclusionAnywhere.build(setting, argument) if occlusion.rectangle.corner is None else occlusion


DISTORTIONS: dict[str, type[Distortion]] = {
    kind.name: kind for kind in (Brightness, Contrast, Gamma, Occlusion, OcclusionSize, Rotation, Scale, Speed)
}


def _read(text: str) -> tuple[str, str]:
    """Name and argument of one distortion; blanks around both say nothing."""
    name, _, argument = text.partition(":")
    return name.strip(), argument.strip()


def is_distortion(text: str) -> bool:
    """Whether a space written as `text` is a distortion, by its name alone."""
    return all(_read(part)[0] in DISTORTIONS for part in text.split(_PLUS))


def build_distortion(setting: Setting, text: str) -> Distortion:
    """The distortion written as `text`, of which `is_distortion` holds. Raises SpecificationError."""
    parts = [_part(setting, part) for part in text.split(_PLUS)]
    if len(parts) == 1:
        return parts[0]
    linear = [part for part in parts if isinstance(part, LinearDistortion)]
    if len(linear) < len(parts):
        raise SpecificationError(
            f"only distortions that are linear in their parameters can be added up, as in {Superposition.example}; "
            f"not {text[:80]}"
        )
    return Superposition(linear)


def _part(setting: Setting, text: str) -> Distortion:
    name, argument = _read(text)
    return _occlusion(setting, argument) if name == Occlusion.name else DISTORTIONS[name].build(setting, argument)


def distortion_unit(text: str) -> Unit:
    """In what the distances of a distortion written as `text` are measured."""
    return Superposition.unit if _PLUS in text else DISTORTIONS[_read(text)[0]].unit


__all__ = [
    "DISTORTIONS",
    "Distortion",
    "LinearDistortion",
    "Parameter",
    "Superposition",
    "build_distortion",
    "distortion_unit",
    "is_distortion",
]
