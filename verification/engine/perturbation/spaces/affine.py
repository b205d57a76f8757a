"""`affine`: every chosen flow is changed by an affine field: shift, stretch, turn and shear, six dimensions a flow."""

from functools import cached_property

import torch
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.spaces.base import FlowSpace
from verification.engine.perturbation.spaces.window import Window


class Affine(FlowSpace):
    """a: (flows, 2, 3), delta_s(x)_c = a_sc . (1, X, Y), where X and Y run from -1 to 1 over the picture's columns and rows.

    The three fields are orthogonal over the N pixels: a component's field f has `||f||_2^2 = N sum v_k a_k^2` with the mean
    squares v, and it is largest in a corner, `||f||_inf = sum |a_k|`. In L1 there is no such formula, but
    `||f||_1 >= ||f||_2^2 / ||f||_inf` and, by Cauchy-Schwarz, `||f||_inf^2 <= ||f||_2^2 S / N` with `S = sum 1 / v_k`.
    """

    name = "affine"
    example = "affine"

    def __init__(self, length: int, height: int, width: int, flows: tuple[int, ...] | None = None) -> None:
        super().__init__(length, height, width, flows)
        if height < 2 or width < 2:
            raise SpecificationError(f"the space 'affine' needs frames of at least 2x2 pixels, not {height}x{width}")

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.flows), 2, 3)

    @cached_property
    def _positions(self) -> tuple[Tensor, Tensor]:
        """Y of every row and X of every column."""
        return _symmetric(self.height), _symmetric(self.width)

    @cached_property
    def _mean_squares(self) -> Tensor:
        """(3,): v, of the fields 1, X and Y."""
        y, x = self._positions
        return torch.stack([torch.ones((), dtype=torch.float64), x.square().mean(), y.square().mean()])

    @property
    def _number(self) -> int:
        return self.height * self.width

    @property
    def _excess(self) -> float:
        """S."""
        return float((1 / self._mean_squares).sum())

    def lift(self, a: Tensor) -> Tensor:
        y, x = (position.to(a) for position in self._positions)
        fields = a[:, :, 0, None, None] + a[:, :, 1, None, None] * x + a[:, :, 2, None, None] * y[:, None]
        return self.scatter(fields)

    def norm(self, a: Tensor, norm: Norm) -> Tensor:
        if norm is Norm.LINF:
            return a.abs().sum(2).amax()
        scales = self.scales(norm)
        return norm.of(self.lift(a)) if scales is None else norm.of(a * scales.to(a))

    def scales(self, norm: Norm) -> Tensor | None:
        return (self._mean_squares * self._number).sqrt() if norm is Norm.L2 else None

    def extreme(self, gradient: Tensor, norm: Norm) -> Tensor:
        if norm is Norm.LINF:
            steepest = gradient.abs().argmax(2, keepdim=True)
            return torch.zeros_like(gradient).scatter(2, steepest, -gradient.gather(2, steepest).sign())
        scales = self._mean_squares.sqrt().to(gradient)
        slopes = torch.linalg.vector_norm(gradient / scales, dim=2)
        chosen = (slopes == slopes.amax()).unsqueeze(2)
        direction = torch.where(chosen, -gradient / scales.square(), torch.zeros_like(gradient))
        return direction / self.norm(direction, norm).clamp(min=1e-30)

    def stride(self, norm: Norm) -> float:
        share = self._excess / self._number
        return {Norm.L1: share, Norm.L2: share**0.5, Norm.LINF: 1.0}[norm]

    def support(self, signed: Tensor, spread: Tensor, window: Window, norm: Norm) -> Tensor:
        # B^T on the signed part, |B|^T on the spread; then what one field can do at most, and how the fields share.
        size = self._summed(signed, window).abs() + self._summed(spread, window, absolute=True)
        copies = self.copies(window)[..., 0].to(size)
        corner = size.amax(3)  # with ||f||_inf <= 1
        if norm is Norm.LINF:
            return (corner * copies).sum((1, 2))
        squares = (size.square() / (self._mean_squares * self._number).to(size)).sum(3)  # with ||f||_2 <= 1, squared
        if norm is Norm.L2:
            return (squares * copies).sum((1, 2)).sqrt()
        share = self._excess / self._number
        field = torch.minimum(corner * share, squares.sqrt() * share**0.5)
        return torch.where(copies > 0, field, field.new_zeros(())).amax((1, 2))

    def _summed(self, coefficients: Tensor, window: Window, absolute: bool = False) -> Tensor:
        """(n, t, 2, 3): the sums over the pixels, weighted by the fields 1, X and Y, or by their absolute values."""
        rows, columns = (
            _with_one(position.abs() if absolute else position, at).to(coefficients)[:, None, None]
            for position, at in zip(self._positions, (window.rows, window.columns), strict=True)
        )
        sums = rows.mT @ (coefficients @ columns)  # 1, X along the last axis and 1, Y along the one before
        return torch.stack([sums[..., 0, 0], sums[..., 0, 1], sums[..., 1, 0]], -1)


def _symmetric(size: int) -> Tensor:
    """`size` equal steps from -1 to 1."""
    return (2 * torch.arange(size, dtype=torch.float64) - (size - 1)) / (size - 1)


def _with_one(position: Tensor, at: Tensor) -> Tensor:
    """(n, m, 2): 1 and the position of each place; (n, m) `at`."""
    values = position[at.clamp(0, len(position) - 1)]
    return torch.stack([torch.ones_like(values), values], -1)
