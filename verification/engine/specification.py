"""What to verify: one frozen description of the question, checked before any work is done."""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from torch import Tensor

from verification.engine.clip import Clip
from verification.engine.errors import SpecificationError
from verification.engine.flow import DEFAULT_EXTRACTOR, build_extractor
from verification.engine.network import Classifier
from verification.engine.perturbation import FlowSpace, Norm, Space, Unit, build_space, is_distortion, unit_of


class LowerMethod(StrEnum):
    """How the lower bound is proven."""

    CELLS = "cells"  #: the ball of `ROOT`, and admissible A* over cells where the space has few dimensions
    GRID = "grid"  #: the paper's Algorithm 1 on a grid, with certified cells
    ROOT = "root"  #: one linear bound over the whole ball


class UpperMethod(StrEnum):
    """How the search for adversarial examples gets its gradients."""

    GRADIENT = "gradient"  #: exactly, by one backward pass through imposition and network
    FINITE_DIFFERENCE = (
        "finite-difference"  #: the paper's Eqs. 8 to 10, one forward pass for every pixel; the reference
    )


@dataclass(frozen=True)
class Budget:
    """When to stop: after `seconds`, or after `rounds` where that comes first.

    `rounds` (counted steps of the anytime loop) with ample seconds makes a run repeatable on any machine. `tolerance`: the
    bounds count as converged at lower >= (1 - tolerance) * upper. `memory`, in GB: what bounds may keep on the way; where a
    network needs more, they are computed again, which takes longer, or are less tight. The network itself, the intervals of its
    values and one pass through it need their memory in any case.
    """

    seconds: float = 60.0
    rounds: int | None = None
    tolerance: float = 0.01
    memory: float = 4.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise SpecificationError(f"the budget must be a number of seconds above zero, not {self.seconds}")
        if self.rounds is not None and self.rounds < 1:
            raise SpecificationError(f"the budget must be at least one round, not {self.rounds}")
        if not 0 <= self.tolerance < 1:
            raise SpecificationError(f"the tolerance must lie between 0 and 1, not be {self.tolerance}")
        if not (math.isfinite(self.memory) and self.memory > 0):
            raise SpecificationError(f"the memory must be a number of GB above zero, not {self.memory}")


@dataclass(frozen=True)
class Specification:
    """The maximum safe radius of `clip` for `classifier` with respect to its optical flow, or to its pixels.

    `clip`: all is asked of its frames; where they are mirrored, the clip as its video shows it is classified too. `flows` are
    numbered from 1, None means all. `radius`: a distance in `norm` and in the unit of the space, None means no limit: the search
    may go as far as it must. `lower_method`: how the lower bound is proven; `tau`: the grid's atomic manipulation, in the
    coordinates' unit, None to derive it (Eq. 5). `upper_method`: how adversarial examples are looked for. `query`: only whether
    `radius` is safe is asked, and the first adversarial example within it ends the run. `eight_bit`: only examples whose class
    change survives the rounding of the frames to 8 bits count. `extractor`: of the flow, kept in its one spelling.
    `device`: any torch device string.
    """

    clip: Clip
    classifier: Classifier
    norm: Norm = Norm.L2
    space: str = "dense"
    flows: tuple[int, ...] | None = None
    radius: float | None = None
    budget: Budget = field(default_factory=Budget)
    lower_method: LowerMethod = LowerMethod.CELLS
    tau: float | None = None
    upper_method: UpperMethod = UpperMethod.GRADIENT
    query: bool = False
    eight_bit: bool = False
    seed: int = 0
    extractor: str = DEFAULT_EXTRACTOR
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.radius is not None and not (math.isfinite(self.radius) and self.radius > 0):
            raise SpecificationError(
                f"the radius must be above zero, not {self.radius}: it is a distance in {self.unit.definition}"
            )
        self._check_method()
        if self.query and self.radius is None:
            raise SpecificationError("a query asks whether a radius is safe: name the radius")
        values = self.clip.frames
        if not bool((values >= 0).all() and (values <= 1).all()):
            raise SpecificationError("the values of the clip's frames must lie between 0 and 1")
        wanted, (height, width) = self.classifier.input, self.clip.size
        if (self.clip.length, height, width) != (wanted.frames, wanted.height, wanted.width):
            raise SpecificationError(
                f"the classifier wants clips of {wanted.frames} frames of {wanted.height}x{wanted.width}, "
                f"not {self.clip.length} of {height}x{width}"
            )
        # Building them is cheap and says what is wrong with the extractor, the space or the flows.
        extractor = build_extractor(self.extractor)
        extractor.check_size(height, width)
        object.__setattr__(self, "extractor", extractor.spelled)
        self.build_space()

    def _check_method(self) -> None:
        if self.tau is not None and self.lower_method is not LowerMethod.GRID:
            raise SpecificationError("tau is the step of a grid: ask for the lower bound by the grid, or leave it out")
        if self.tau is not None and not (math.isfinite(self.tau) and self.tau > 0):
            raise SpecificationError(f"tau must be a length above zero, in pixels of flow, not {self.tau}")
        if self.lower_method is LowerMethod.GRID and self.unit is not Unit.FLOW:
            raise SpecificationError(
                "the grid is made of manipulations of the flow: choose a space of flows, such as dense"
            )
        if self.lower_method is not LowerMethod.CELLS and is_distortion(self.space):
            raise SpecificationError("natural distortions are proven by cells: leave out the choice of another proof")
        if self.upper_method is UpperMethod.FINITE_DIFFERENCE and self.unit is not Unit.FLOW:
            raise SpecificationError(
                "finite differences are taken of the flow: choose a space of flows, such as dense, or leave out the choice"
            )

    @property
    def unit(self) -> Unit:
        """In what distances are measured."""
        return unit_of(self.space)

    def build_space(self) -> Space:
        """The perturbations in question. Raises SpecificationError."""
        return build_space(self.space, self.clip.length, *self.clip.size, self.flows, lambda: self._flow)

    def extract_flow(self) -> Tensor | None:
        """P(v), (l-1, 2, h, w), pixels; None where the perturbations change no flow."""
        return self._flow if isinstance(self.build_space(), FlowSpace) else None

    @cached_property
    def _flow(self) -> Tensor:
        return build_extractor(self.extractor).extract(self.clip.frames)
