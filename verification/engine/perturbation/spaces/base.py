"""What a manipulation space is: a linear map `delta = B a` with the norm of `delta` (engine contract, section 3)."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.imposition import displacements, warp
from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.units import Unit


class Space(ABC):
    """The perturbations `delta = B a` of a clip with `length` frames of `height` x `width`, and the clips they make.

    A clip is changed by what moves in it: `motion` says what that is for a `delta`, `moved` applies it to the frames.
    Coordinates `a` are tensors of shape `shape`. Subclasses are registered under `name`.
    """

    name: ClassVar[str]
    unit: ClassVar[Unit]
    #: What is changed, in words: "no change of the flow ...".
    subject: ClassVar[str]
    #: How far a search in L1 moves one coordinate at a time, by turns; in the unit of the space.
    strides: ClassVar[tuple[float, ...]]

    def __init__(self, length: int, height: int, width: int) -> None:
        self.length, self.height, self.width = length, height, width

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the coordinates `a`; its product is the number of dimensions K."""

    @property
    @abstractmethod
    def delta_shape(self) -> tuple[int, ...]:
        """Shape of `delta`; the first axis runs over what people choose from or look at: flows, or frames."""

    @abstractmethod
    def lift(self, a: Tensor) -> Tensor:
        """`delta = B a`, of shape `delta_shape`; linear and differentiable."""

    @abstractmethod
    def norm(self, a: Tensor, norm: Norm) -> Tensor:
        """`||B a||_p` as a scalar tensor."""

    @abstractmethod
    def steepness(self, gradient: Tensor, norm: Norm) -> float:
        """`max gradient . delta` over the unit ball `||delta||_p <= 1` of this space; `gradient` has the shape of delta."""

    @abstractmethod
    def motion(self, delta: Tensor) -> Tensor:
        """What `delta` does to each frame, (l, ...); linear."""

    @abstractmethod
    def moved(self, frames: Tensor, motion: Tensor) -> Tensor:
        """The frames (l, 3, h, w), values in [0, 1], under a motion; differentiable in it, and exactly `frames` under none."""

    def perturbed(self, frames: Tensor, delta: Tensor) -> Tensor:
        """The clip that `delta` makes of `frames`."""
        return self.moved(frames, self.motion(delta))

    def shortest(self, frames: Tensor, a: Tensor) -> Tensor:
        """Coordinates of least norm that make the same clip of `frames` as `a` does."""
        return a

    def room(self, frames: Tensor, towards: Tensor) -> Tensor | None:
        """How far each coordinate can go from zero with the sign of `towards`; None where nothing limits them."""
        return None

    def farthest(self, frames: Tensor, norm: Norm) -> float:
        """No clip needs a `delta` longer than this; infinite where there is no such end."""
        return float("inf")


class FlowSpace(Space):
    """Perturbations of the flows `flows`, numbered from 1 as in the paper: flow t lies between frames t and t+1.

    `delta`: (l-1, 2, h, w), pixels of flow; `motion`: the displacements (l, 2, h, w). The first axis of `a` runs over the
    chosen flows.
    """

    unit = Unit.FLOW
    subject = "the flow"
    strides = (1.0, 0.5, 2.0)

    def __init__(self, length: int, height: int, width: int, flows: tuple[int, ...] | None = None) -> None:
        super().__init__(length, height, width)
        chosen = tuple(range(1, length)) if flows is None else tuple(sorted(set(flows)))
        wrong = [flow for flow in chosen if not 1 <= flow < length]
        if wrong or not chosen:
            raise SpecificationError(
                f"a clip of {length} frames has the flows 1 to {length - 1}; "
                + (f"{', '.join(map(str, wrong))} does not exist" if wrong else "choose at least one of them")
            )
        self.flows = chosen

    @property
    def delta_shape(self) -> tuple[int, ...]:
        return (self.length - 1, 2, self.height, self.width)

    def motion(self, delta: Tensor) -> Tensor:
        return displacements(delta)

    def moved(self, frames: Tensor, motion: Tensor) -> Tensor:
        return warp(frames, motion)

    def steepness(self, gradient: Tensor, norm: Norm) -> float:
        copies = self.chosen.to(gradient.device)[None]
        return float(self.support(gradient[None], torch.zeros_like(gradient)[None], copies, norm))

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

    def shares(self, norm: Norm) -> bool:
        """Whether `||delta||_p`, with finite p, is the p-norm of what the pixels spend: the norms of their delta."""
        return False

    def zones(self, norm: Norm) -> tuple[float, ...]:
        """Shares of the radius, rising and below 1, at which a single pixel's part of it is worth telling apart.

        Empty unless pixels have budgets of their own that are much smaller than the radius (see `bounds.budget`).
        """
        return ()

    def pixel_slopes(self, signed: Tensor, spread: Tensor, copies: Tensor, norm: Norm) -> Tensor:
        """(rows, wh ww): at what rate `support` rises with the budget of one pixel. Only where the pixels share the radius."""
        raise NotImplementedError
