"""The ball of all perturbed clips within a distance: which region bounds it."""

from torch import Tensor

from verification.engine.bounds.pixels import PixelBall
from verification.engine.bounds.region import Region
from verification.engine.bounds.warp import FlowBall
from verification.engine.perturbation import FlowSpace, Norm, Space
from verification.engine.relaxation import Rounding


def ball_around(frames: Tensor, space: Space, norm: Norm, radius: float, rounding: Rounding) -> Region:
    """All clips that perturbations of `space` with a norm of at most `radius` make of `frames` (l, 3, h, w)."""
    if isinstance(space, FlowSpace):
        return FlowBall(frames, space, norm, radius, rounding)
    return PixelBall(frames.unsqueeze(0), radius, norm, rounding)
