"""Perturbations of the optical flow, or of the frames: norms, spaces, natural distortions, and how they change the frames."""

from verification.engine.perturbation.choice import (
    build_space,
    check_space,
    distortion_spellings,
    name_of,
    spellings,
    unit_of,
)
from verification.engine.perturbation.distortions import DISTORTIONS, Distortion, is_distortion
from verification.engine.perturbation.imposition import displacements, impose, warp
from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.spaces import (
    SPACES,
    FlowSpace,
    Pixels,
    Space,
    Window,
)
from verification.engine.perturbation.units import Unit

__all__ = [
    "DISTORTIONS",
    "SPACES",
    "Distortion",
    "FlowSpace",
    "Norm",
    "Pixels",
    "Space",
    "Unit",
    "Window",
    "build_space",
    "check_space",
    "displacements",
    "distortion_spellings",
    "impose",
    "is_distortion",
    "name_of",
    "spellings",
    "unit_of",
    "warp",
]
