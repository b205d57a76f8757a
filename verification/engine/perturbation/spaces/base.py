"""What a manipulation space is: a linear map `delta = B a` with the norm of `delta` (engine contract, section 3)."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.norms import Norm


class Space(ABC):
    """The perturbations `delta = B a` of the flows `flows` of a clip with `length` frames of `height` x `width`.

    `flows` are numbered from 1 as in the paper: flow t lies between frames t and t+1. Coordinates `a` are tensors of
    shape `shape`, whose first axis runs over the chosen flows. Subclasses are registered under `name`.
    """

    name: ClassVar[str]

    def __init__(self, length: int, height: int, width: int, flows: tuple[int, ...] | None = None) -> None:
        chosen = tuple(range(1, length)) if flows is None else tuple(sorted(set(flows)))
        wrong = [flow for flow in chosen if not 1 <= flow < length]
        if wrong or not chosen:
            raise SpecificationError(
                f"a clip of {length} frames has the flows 1 to {length - 1}; "
                + (f"{', '.join(map(str, wrong))} does not exist" if wrong else "choose at least one of them")
            )
        self.length, self.height, self.width, self.flows = length, height, width, chosen

    @property
    def chosen(self) -> Tensor:
        """(l-1,) float64, 1 for the flows that may change and 0 for the others."""
        mask = torch.zeros(self.length - 1, dtype=torch.float64)
        mask[[flow - 1 for flow in self.flows]] = 1.0
        return mask

    def scatter(self, fields: Tensor) -> Tensor:
        """Put one (2, h, w) field per chosen flow into the whole (l-1, 2, h, w) sequence; the rest is zero."""
        index = torch.tensor([flow - 1 for flow in self.flows], device=fields.device)
        return fields.new_zeros((self.length - 1, *fields.shape[1:])).index_copy(0, index, fields)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the coordinates `a`; its product is the number of dimensions K."""

    @abstractmethod
    def lift(self, a: Tensor) -> Tensor:
        """`delta = B a`, (l-1, 2, h, w), pixels; linear and differentiable."""

    @abstractmethod
    def norm(self, a: Tensor, norm: Norm) -> Tensor:
        """`||B a||_p` as a scalar tensor."""

    @abstractmethod
    def reach(self, radius: float, norm: Norm) -> Tensor:
        """(l,) float64, pixels: a bound on every component of `|D_t(x)|` over the ball `||B a||_p <= radius`."""

    @abstractmethod
    def support(self, signed: Tensor, spread: Tensor, copies: Tensor, norm: Norm) -> Tensor:
        """`max sum (signed . delta + spread . |delta|)` over the unit ball `||delta||_p <= 1` of this space.

        `signed`, `spread`: (rows, j, 2, wh, ww), `spread >= 0`: the functional's coefficients on a window of pixels.
        Entry j stands for `copies[rows, j]` chosen flows that all have these same coefficients (0: none). Pixels
        outside the window have coefficient zero. Returns (rows,). An upper bound is allowed, a lower one never.
        """

    def zones(self, norm: Norm) -> tuple[float, ...]:
        """Shares of the radius, rising and below 1, at which a single pixel's part of it is worth telling apart.

        Empty unless pixels have budgets of their own that are much smaller than the radius (see `bounds.budget`).
        """
        return ()

    def pixel_slopes(self, signed: Tensor, spread: Tensor, copies: Tensor) -> Tensor:
        """(rows, wh ww): at what rate `support` rises with the budget of one pixel. Only for spaces with `zones`."""
        raise NotImplementedError
