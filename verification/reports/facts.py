"""All that the words of a report depend on, as one frozen value; the wording is pure functions of it."""

from dataclasses import dataclass
from functools import cached_property

from verification.engine.perturbation import Distortion, Unit, unit_of
from verification.services.distortions import distortion_of, one_number

#: States in which a verification will not move any more.
FINISHED = frozenset({"converged", "certified", "refuted", "exhausted", "cancelled", "failed"})


@dataclass(frozen=True)
class Facts:
    """One verification as it stands. Distances in `unit`; `flows` count from 1, None is all.

    `lower_guarantee` is the worth of `lower`: "sound" is a proof, anything else is not. The realisation
    errors are ratios to the size of the manipulation, None until an adversarial example is found. `eight_bit`: only examples that
    survive the rounding of the frames count. `lower_grey_levels`: distorted clips nearer than that in L2 keep the class.
    `given_...`: where the clip is `mirrored`, the class of the clip as it was given.
    """

    status: str
    frames: int
    height: int
    width: int
    sampling: str
    norm: str
    space: str
    extractor: str
    seconds: float
    elapsed: float = 0.0
    flows: tuple[int, ...] | None = None
    radius: float | None = None
    label: str | None = None
    confidence: float | None = None
    mirrored: bool = False
    given_label: str | None = None
    given_confidence: float | None = None
    pair_agrees: bool | None = None
    lower: float = 0.0
    lower_guarantee: str = "sound"
    lower_grey_levels: float | None = None
    upper: float | None = None
    upper_label: str | None = None
    upper_confidence: float | None = None
    eight_bit: bool = False
    certificate_radius: float | None = None
    certifying: bool = False
    realisation_rms: float | None = None
    realisation_median: float | None = None
    error: str = ""

    @property
    def unit(self) -> Unit:
        return unit_of(self.space)

    @property
    def changes_flow(self) -> bool:
        return self.unit is Unit.FLOW

    @cached_property
    def distortion(self) -> Distortion | None:
        """The natural distortion in question, None for spaces of flows and of pixels."""
        return distortion_of(self.space, self.frames, self.height, self.width)

    @property
    def norm_counts(self) -> bool:
        """Whether it depends on the norm how large a perturbation is; the size of one number does not."""
        return self.distortion is None or not one_number(self.distortion)

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def ratio(self) -> float | None:
        """Upper over lower bound, None while one of them says nothing."""
        return self.upper / self.lower if self.upper is not None and self.lower > 0 else None
