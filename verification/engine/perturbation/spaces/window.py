"""Which flows and pixels the coefficients of linear functionals of the flow belong to."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """Where n functionals look: at `length` entries of the sequence of flows, and in each at a rectangle of pixels.

    Displacements add up, so coefficients come frame by frame: entry 0 stands for all flows that move the frame `first` (n,),
    counted from 0, and entry j for the one that moves the frame `first + j` and no earlier one. `rows` (n, wh) and
    `columns` (n, ww) are the pixels' places; where they lie outside of the picture the coefficients are zero. All int64, CPU.
    """

    first: Tensor
    length: int
    rows: Tensor
    columns: Tensor

    @classmethod
    def whole(cls, count: int, flows: int, height: int, width: int) -> Self:
        """The same for `count` functionals: every flow for itself, and all of its pixels."""
        first = torch.ones(count, dtype=torch.int64)
        rows, columns = (torch.arange(size).expand(count, -1) for size in (height, width))
        return cls(first, flows, rows, columns)

    def flow_of(self, flows: int) -> tuple[Tensor, Tensor]:
        """(n, t) each: the flow, counted from 0, that entry j > 0 stands for, and whether a clip of `flows` has it."""
        flow = self.first[:, None] + torch.arange(self.length) - 1
        return flow.clamp(0, flows - 1), (flow >= 0) & (flow < flows)
