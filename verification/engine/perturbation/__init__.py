"""Perturbations of the optical flow, or of the frames: norms, manipulation spaces, and their imposition on the frames."""

from verification.engine.perturbation.imposition import displacements, impose, warp
from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.spaces import (
    SPACES,
    FlowSpace,
    Pixels,
    Space,
    Window,
    build_space,
    check_space,
    name_of,
    spellings,
    unit_of,
)
from verification.engine.perturbation.units import Unit

__all__ = [
    "SPACES",
    "FlowSpace",
    "Norm",
    "Pixels",
    "Space",
    "Unit",
    "Window",
    "build_space",
    "check_space",
    "displacements",
    "impose",
    "name_of",
    "spellings",
    "unit_of",
    "warp",
]
