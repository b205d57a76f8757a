"""Frames as files and screens have them: values in whole grey levels of 8 bits."""

from torch import Tensor

GREY_LEVELS = 255


def rounded(clip: Tensor) -> Tensor:
    """The clip, values in [0, 1], with each value rounded to the nearest of the 256 of 8 bits; in the dtype of `clip`."""
    return clip.mul(GREY_LEVELS).round().div(GREY_LEVELS)
