"""Manipulation spaces by name. A new space is one file here and one entry in `SPACES`.

A space is written as its name or, where it needs to know more, as `name:argument`: `dense`, `blocks:2x2`, `moving:0.9`.
"""

from verification.engine.perturbation.spaces.affine import Affine
from verification.engine.perturbation.spaces.base import FlowSpace, Setting, Space
from verification.engine.perturbation.spaces.blocks import Blocks, Translation
from verification.engine.perturbation.spaces.dense import Dense
from verification.engine.perturbation.spaces.moving import Moving
from verification.engine.perturbation.spaces.pixels import Pixels
from verification.engine.perturbation.spaces.window import Window

SPACES: dict[str, type[Space]] = {space.name: space for space in (Dense, Blocks, Moving, Translation, Affine, Pixels)}

__all__ = [
    "SPACES",
    "Affine",
    "Blocks",
    "Dense",
    "FlowSpace",
    "Moving",
    "Pixels",
    "Setting",
    "Space",
    "Translation",
    "Window",
]
