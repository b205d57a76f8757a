"""`moving:Q`: only pixels that move may be manipulated, those whose flow is longer than the share Q of all of them."""

import math
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.spaces.base import Setting
from verification.engine.perturbation.spaces.dense import Dense

_EXACT = 1 << 24  # as many values as `Tensor.quantile` takes


class Moving(Dense):
    """a: (m, 2), the change of the flow at each of the m moving pixels, flow by flow; elsewhere delta is zero.

    `pixels`: (l-1, h, w) bool. The quantile is taken over all chosen flows together, so that flows with more motion have
    more dimensions.
    """

    name = "moving"
    example = "moving:0.9"

    def __init__(self, length: int, height: int, width: int, flows: tuple[int, ...] | None, pixels: Tensor) -> None:
        super().__init__(length, height, width, flows)
        self.pixels = pixels

    @classmethod
    def build(cls, setting: Setting, argument: str) -> Self:
        share = _share(argument)
        chosen = Dense(setting.length, setting.height, setting.width, setting.flows)
        speed = torch.linalg.vector_norm(setting.flow().detach().cpu().double(), dim=1)
        index = [flow - 1 for flow in chosen.flows]
        threshold = speed[index].quantile(share) if speed[index].numel() < _EXACT else _of_many(speed[index], share)
        pixels = torch.zeros_like(speed, dtype=torch.bool)
        pixels[index] = speed[index] > threshold
        if not bool(pixels.any()):
            raise SpecificationError(
                f"no pixel's flow is longer than the {share:g} quantile, {float(threshold):.3g} pixels: take a smaller share "
                "than moving:" + argument + ", or another space"
            )
        return cls(setting.length, setting.height, setting.width, chosen.flows, pixels)

    @classmethod
    def check(cls, setting: Setting, argument: str) -> None:
        _share(argument)
        Dense(setting.length, setting.height, setting.width, setting.flows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (int(self.pixels.sum()), 2)

    @cached_property
    def moving(self) -> Tensor:
        return self.pixels.double()

    def flow_of(self, dimension: int) -> int:
        return int(self.pixels.nonzero()[dimension // self.shape[1], 0]) + 1

    def lift(self, a: Tensor) -> Tensor:
        index = self.pixels.to(a.device).nonzero(as_tuple=True)
        field = a.new_zeros((self.length - 1, self.height, self.width, 2))
        return field.index_put(index, a).permute(0, 3, 1, 2)


def _of_many(values: Tensor, share: float) -> Tensor:
    """The quantile without interpolation, of any number of values."""
    flat = values.flatten()
    return flat.kthvalue(max(1, math.ceil(share * flat.numel()))).values


def _share(argument: str) -> float:
    try:
        share = float(argument)
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:
        raise SpecificationError(
            f"the space 'moving' is written with the share of pixels that stand still, at least 0 and below 1, such as "
            f"moving:0.9; not moving:{argument}"
        )
    return share
