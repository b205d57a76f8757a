"""What a manipulation space is: a linear map `delta = B a` with the norm of `delta` (engine contract, section 3)."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import torch
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.perturbation.imposition import displacements, warp
from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.spaces.window import Window
from verification.engine.perturbation.units import Unit


@dataclass(frozen=True)
class Setting:
    """The clip that a space is made for: `length` frames of `height` x `width`, and which of its flows may change.

    `flows`: numbered from 1, None for all. `flow`: gives P(v), (l-1, 2, h, w), pixels, to a space that depends on it.
    """

    length: int
    height: int
    width: int
    flows: tuple[int, ...] | None
    flow: Callable[[], Tensor]


class Space(ABC):
    """The perturbations `delta = B a` of a clip with `length` frames of `height` x `width`, and the clips they make.

    A clip is changed by what moves in it: `motion` says what that is for a `delta`, `moved` applies it to the frames.
    Coordinates `a` are tensors of shape `shape`. Subclasses are registered under `name`.
    """

    name: ClassVar[str]
    #: How it is written: the name, or with what has to follow a colon, for example `blocks:2x2`.
    example: ClassVar[str]
    unit: ClassVar[Unit]
    #: What is changed, in words: "no change of the flow ...".
    subject: str
    #: How far a search in L1 moves one coordinate at a time, by turns; in the unit of the space.
    strides: ClassVar[tuple[float, ...]]

    def __init__(self, length: int, height: int, width: int) -> None:
        self.length, self.height, self.width = length, height, width

    @classmethod
    @abstractmethod
    def build(cls, setting: Setting, argument: str) -> Self:
        """The space for a clip. Raises SpecificationError for flows or an argument that do not fit it."""

    @classmethod
    def check(cls, setting: Setting, argument: str) -> None:
        """Raises SpecificationError for what is wrong whatever the flow of the clip is; does not ask for it."""
        cls.build(setting, argument)

    @property
    def dimensions(self) -> int:
        """The number of coordinates, K."""
        return math.prod(self.shape)

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
    def scales(self, norm: Norm) -> Tensor | None:
        """Numbers s, in a shape that fits `a`, with `||B a||_p = ||s a||_p`; None where there are none (see `extreme`)."""

    def extreme(self, gradient: Tensor, norm: Norm) -> Tensor:
        """Coordinates that go down `gradient`, which has their shape, about as steeply as any with `||B a||_p = 1`.

        Only asked for where there are no `scales`.
        """
        raise NotImplementedError(f"{type(self).__name__} has scales")

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

    def change(self, frames: Tensor, a: Tensor) -> Tensor:
        """What people look at of the perturbation by `a`, the first axis over flows or frames: `delta`, or what it does."""
        return self.lift(a)

    def domain(self) -> tuple[Tensor, Tensor]:
        """(K,) each, float64: the least and the greatest value of each coordinate; beyond, it counts as that value."""
        limit = torch.full((self.dimensions,), torch.inf, dtype=torch.float64)
        return -limit, limit

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

    @classmethod
    def build(cls, setting: Setting, argument: str) -> Self:
        return cls(setting.length, setting.height, setting.width, setting.flows)

    @property
    def delta_shape(self) -> tuple[int, ...]:
        return (self.length - 1, 2, self.height, self.width)

    def motion(self, delta: Tensor) -> Tensor:
        return displacements(delta)

    def moved(self, frames: Tensor, motion: Tensor) -> Tensor:
        return warp(frames, motion)

    def steepness(self, gradient: Tensor, norm: Norm) -> float:
        return float(self.support(gradient[None], torch.zeros_like(gradient)[None], self.everywhere(1), norm))

    def flow_of(self, dimension: int) -> int:
        """The flow, numbered from 1, that a coordinate belongs to; `dimension`: in the order of `a.flatten()`."""
        return self.flows[dimension * len(self.flows) // self.dimensions]

    def everywhere(self, count: int) -> Window:
        """Where `count` functionals look that have coefficients for every flow and pixel."""
        return Window.whole(count, self.length - 1, self.height, self.width)

    @cached_property
    def moving(self) -> Tensor:
        """(l-1, h or 1, w or 1) float64: 1 where a flow may change, else 0; sides of 1 where all pixels are alike."""
        mask = torch.zeros((self.length - 1, 1, 1), dtype=torch.float64)
        mask[[flow - 1 for flow in self.flows]] = 1.0
        return mask

    @cached_property
    def before(self) -> Tensor:
        """(l, h or 1, w or 1) float64: how many flows that may change move each frame."""
        return torch.cat([torch.zeros_like(self.moving[:1]), self.moving.cumsum(0)])

    def copies(self, window: Window) -> Tensor:
        """(n, t, wh or 1, ww or 1) float64: of how many flows that may change each entry has the coefficients."""
        flow, there = window.flow_of(self.length - 1)
        alike = self.moving.shape[1:] == (1, 1)
        rows = window.rows[:, :1] * 0 if alike else window.rows.clamp(0, self.height - 1)
        columns = window.columns[:, :1] * 0 if alike else window.columns.clamp(0, self.width - 1)
        rows, columns = rows[:, None, :, None], columns[:, None, None, :]
        copies = self.moving[flow[:, :, None, None], rows, columns] * there[:, :, None, None]
        first = window.first.clamp(0, self.length - 1)[:, None, None, None]
        copies[:, :1] = self.before[first, rows, columns]
        return copies

    def scatter(self, fields: Tensor) -> Tensor:
        """Put one (2, h, w) field per chosen flow into the whole (l-1, 2, h, w) sequence; the rest is zero."""
        index = torch.tensor([flow - 1 for flow in self.flows], device=fields.device)
        return fields.new_zeros((self.length - 1, *fields.shape[1:])).index_copy(0, index, fields)

    @abstractmethod
    def stride(self, norm: Norm) -> float:
        """A bound on every component of one flow's change at one pixel, over the ball `||B a||_p <= 1`; pixels."""

    def reach(self, radius: float, norm: Norm) -> Tensor:
        """(l,) float64, pixels: a bound on every component of `|D_t(x)|` over the ball `||B a||_p <= radius`."""
        # D_t(x) adds up one component of every earlier flow; n numbers in an Lp ball sum to at most n^(1-1/p) r.
        moved = self.before.amax((1, 2))
        factor = {Norm.L1: moved.clamp(max=1), Norm.L2: moved.sqrt(), Norm.LINF: moved}[norm]
        return factor * (radius * self.stride(norm))

    @abstractmethod
    def support(self, signed: Tensor, spread: Tensor, window: Window, norm: Norm) -> Tensor:
        """`max sum (signed . delta + spread . |delta|)` over the unit ball `||delta||_p <= 1` of this space.

        `signed`, `spread`: (n, t, 2, wh, ww), `spread >= 0`: the coefficients of n functionals for what `window` tells.
        Pixels outside the window have coefficient zero. Returns (n,). An upper bound is allowed, a lower one never.
        """

    def shares(self, norm: Norm) -> bool:
        """Whether `||delta||_p`, with finite p, is the p-norm of what the pixels spend: the norms of their delta."""
        return False

    def zones(self, norm: Norm) -> tuple[float, ...]:
        """Shares of the radius, rising and below 1, at which a single pixel's part of it is worth telling apart.

        Empty unless pixels have budgets of their own that are much smaller than the radius (see `bounds.budget`).
        """
        return ()

    def pixel_slopes(self, signed: Tensor, spread: Tensor, window: Window, norm: Norm) -> Tensor:
        """(n, wh ww): at what rate `support` rises with the budget of one pixel. Only where the pixels share the radius."""
        raise NotImplementedError
