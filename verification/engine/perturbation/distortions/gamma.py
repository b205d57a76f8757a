"""`gamma`: `v ** (2 ** p)`, as screens and cameras do; positive p darkens, and what is black or white stays."""

import math
from typing import Self

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Reference
from verification.engine.network.operations.arithmetic import Affine
from verification.engine.network.operations.exponential import Exp
from verification.engine.network.operations.linear import Linear
from verification.engine.network.operations.shape import Reshape
from verification.engine.perturbation.distortions.arguments import read_arguments
from verification.engine.perturbation.distortions.base import Distortion, Parameter
from verification.engine.perturbation.spaces.base import Setting
from verification.engine.perturbation.units import Unit

_MOST = 4.0  # the exponent is between 1/16 and 16


class Gamma(Distortion):
    """The parameter is the logarithm of the exponent, base 2: 1 squares every value, -1 takes its root."""

    name = "gamma"
    example = "gamma"
    unit = Unit.LOGARITHM
    monotone = True
    summary = "Every value is raised to one power, as a wrongly set screen or camera does."

    @classmethod
    def of(cls, setting: Setting, argument: str) -> Self:
        read_arguments(cls.name, argument, {})
        return cls(setting.length, setting.height, setting.width, (Parameter("gamma", -_MOST, _MOST),))

    def emit(self, graph: Lowering, frames: Tensor, parameters: Reference) -> None:
        """`exp(log v * exp(p log 2))` where v > 0, and 0 elsewhere."""
        power = graph.emit(Exp(), graph.emit(_times(math.log(2.0)), parameters))
        visible = (frames > 0).double()
        logarithms = torch.where(frames > 0, frames, 1.0).log().flatten()
        scaled = graph.emit(Linear(logarithms.unsqueeze(0), torch.zeros_like(logarithms)), power)
        raised = graph.emit(Reshape((1, *frames.shape)), graph.emit(Exp(), scaled))
        graph.emit(Affine(visible.unsqueeze(0), torch.zeros_like(visible).unsqueeze(0)), raised)


def _times(factor: float) -> Affine:
    return Affine(torch.full((1, 1), factor, dtype=torch.float64), torch.zeros((1, 1), dtype=torch.float64))
