"""`blocks:RxC` and `translation`: every chosen flow is cut into R rows of C blocks, and each block is shifted as a whole."""

import re
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.spaces.base import FlowSpace, Setting
from verification.engine.perturbation.spaces.window import Window


class Blocks(FlowSpace):
    """a: (flows, 2, R, C), delta_s(x) = a_s at the block of x, hence `||delta||_p^p = sum of pixels x |a|^p` over blocks.

    Blocks are as equal in size as whole pixels allow.
    """

    name = "blocks"
    example = "blocks:2x2"

    def __init__(
        self, length: int, height: int, width: int, flows: tuple[int, ...] | None = None, grid: tuple[int, int] = (1, 1)
    ) -> None:
        super().__init__(length, height, width, flows)
        if not (1 <= grid[0] <= height and 1 <= grid[1] <= width):
            raise SpecificationError(
                f"frames of {height}x{width} can be cut into 1x1 to {height}x{width} blocks, not {grid[0]}x{grid[1]}"
            )
        self.grid = grid

    @classmethod
    def build(cls, setting: Setting, argument: str) -> Self:
        match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", argument)
        if match is None:
            raise SpecificationError(
                f"the space 'blocks' is written with its rows and columns, such as blocks:2x2; not blocks:{argument}"
            )
        return cls(setting.length, setting.height, setting.width, setting.flows, (int(match[1]), int(match[2])))

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.flows), 2, *self.grid)

    @cached_property
    def _row(self) -> Tensor:
        """(h,): the row of blocks of each row of pixels."""
        return torch.arange(self.height) * self.grid[0] // self.height

    @cached_property
    def _column(self) -> Tensor:
        """(w,): the same for columns."""
        return torch.arange(self.width) * self.grid[1] // self.width

    @cached_property
    def _pixels(self) -> Tensor:
        """(R, C) float64: how many pixels a block has."""
        rows, columns = (index.bincount() for index in (self._row, self._column))
        return (rows[:, None] * columns).double()

    def lift(self, a: Tensor) -> Tensor:
        return self.scatter(a[:, :, self._row[:, None].to(a.device), self._column.to(a.device)])

    def norm(self, a: Tensor, norm: Norm) -> Tensor:
        return norm.of(a * self.scales(norm).to(a))

    def scales(self, norm: Norm) -> Tensor:
        return self._pixels ** (1 / norm.p)

    def stride(self, norm: Norm) -> float:
        return 1 / float(self.scales(norm).min())

    def support(self, signed: Tensor, spread: Tensor, window: Window, norm: Norm) -> Tensor:
        # B^T on the signed part, |B|^T on the spread, then the dual norm on `a`.
        size = self._summed(signed, window).abs() + self._summed(spread, window)
        dual = (size / self.scales(norm).to(size)).flatten(2)
        copies = self.copies(window)[..., 0].to(size)  # no pixel is different from another
        if norm is Norm.LINF:
            return (dual * copies).sum((1, 2))
        if norm is Norm.L2:
            return (dual.square() * copies).sum((1, 2)).sqrt()
        return torch.where(copies > 0, dual, dual.new_zeros(())).amax((1, 2))

    def _summed(self, coefficients: Tensor, window: Window) -> Tensor:
        """(n, t, 2, R, C): the sums over the pixels of each block."""
        if self.grid == (1, 1):
            return coefficients.sum((3, 4), keepdim=True)
        rows, columns = (
            one_hot(index[at.clamp(0, len(index) - 1)], count).to(coefficients)[:, None, None]
            for index, at, count in zip(
                (self._row, self._column), (window.rows, window.columns), self.grid, strict=True
            )
        )
        return rows.mT @ (coefficients @ columns)


class Translation(Blocks):
    """a: (flows, 2, 1, 1): a single block, two dimensions a flow."""

    name = "translation"
    example = "translation"

    @classmethod
    def build(cls, setting: Setting, argument: str) -> Self:
        return cls(setting.length, setting.height, setting.width, setting.flows)
