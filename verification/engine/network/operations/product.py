"""The product of two nodes, as in the gates of an LSTM (McCormick's envelope)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.operations.base import Elementwise
from verification.engine.relaxation import Interval, Planes, Rounding


@dataclass(frozen=True)
class Product(Elementwise):
    """`x y`. McCormick's envelope has two planes a side; their mean is a plane too and errs least in the middle."""

    def concrete(self, *inputs: Tensor) -> Tensor:
        return inputs[0] * inputs[1]

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        x, y = boxes
        corners = torch.stack([x.lower * y.lower, x.lower * y.upper, x.upper * y.lower, x.upper * y.upper])
        margin = rounding.gamma(1) * corners.abs().amax(0)
        return Interval(corners.amin(0) - margin, corners.amax(0) + margin)

    def planes(self, rounding: Rounding, *boxes: Interval) -> Planes:
        x, y = boxes
        # (x - xl)(y - yl) >= 0 and (xu - x)(yu - y) >= 0; (xu - x)(y - yl) >= 0 and (x - xl)(yu - y) >= 0.
        xm, ym = x.centre, y.centre
        below = -(x.lower * y.lower + x.upper * y.upper) / 2
        above = -(x.upper * y.lower + x.lower * y.upper) / 2
        margin = rounding.gamma(4) * x.magnitude * y.magnitude
        return Planes((ym, xm), below - margin, (ym, xm), above + margin)

    def derivatives(self, rounding: Rounding, *boxes: Interval) -> tuple[Interval, ...]:
        return boxes[1], boxes[0]
