"""What to verify: one frozen description of the question, checked before any work is done."""

import math
from dataclasses import dataclass, field

from verification.engine.clip import Clip
from verification.engine.errors import SpecificationError
from verification.engine.network import Classifier
from verification.engine.perturbation import SPACES, Norm


@dataclass(frozen=True)
class Budget:
    """When to stop. `rounds` (counted steps of the anytime loop) makes a run repeatable on any machine."""

    seconds: float = 60.0
    rounds: int | None = None
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise SpecificationError(f"the budget must be a number of seconds above zero, not {self.seconds}")


@dataclass(frozen=True)
class Specification:
    """The maximum safe radius of `clip` for `classifier` with respect to its optical flow.

    `flows` are numbered from 1, None means all. `radius`: pixels in `norm`, None means no limit: the search may go as far
    as it must. `device`: any torch device string.
    """

    clip: Clip
    classifier: Classifier
    norm: Norm = Norm.L2
    space: str = "dense"
    flows: tuple[int, ...] | None = None
    radius: float | None = None
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    extractor: str = "farneback"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.radius is not None and not (math.isfinite(self.radius) and self.radius > 0):
            raise SpecificationError(f"the radius must be above zero, not {self.radius}: it is a distance in pixels")
        if self.space not in SPACES:
            raise SpecificationError(f"there is no space {self.space!r}; choose one of {', '.join(SPACES)}")
