"""Perturbations of the optical flow: norms, manipulation spaces, and their imposition on the frames."""

from verification.engine.perturbation.imposition import displacements, impose, warp
from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.spaces import SPACES, Space, build_space

__all__ = ["SPACES", "Norm", "Space", "build_space", "displacements", "impose", "warp"]
