"""What the engine says: numbered bounds with their guarantee, the adversarial example, and the final result."""

from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor

from verification.engine.clip.quality import Quality
from verification.engine.mirror import MirrorPair
from verification.engine.perturbation.norms import Norm


class Guarantee(StrEnum):
    """What a number is worth (engine contract, section 4). Never shown as more than it is."""

    SOUND = "sound"  #: a proof for every real-valued perturbation in the ball
    CONDITIONAL = "conditional"  #: holds if a constant holds that was supplied or estimated
    EMPIRICAL = "empirical"  #: a concrete example, re-evaluated in float64


class Status(StrEnum):
    """Why a verification ended."""

    CONVERGED = "converged"  #: lower >= (1 - tolerance) * upper
    CERTIFIED = "certified"  #: the whole ball of the asked radius is proven safe: no adversarial example within it
    REFUTED = (
        "refuted"  #: asked only whether a radius is safe, and it is not: there is an adversarial example within it
    )
    EXHAUSTED = "exhausted"  #: the budget is spent; both bounds hold
    STOPPED = "stopped"  #: a person stopped it; both bounds hold


class Answer(StrEnum):
    """What a query is told: whether the whole ball of its radius keeps the class."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class BoundPoint:
    """One step of the two bounds. `number` counts from 1 without gaps; `source` says which bound moved, "lower" or "upper"."""

    number: int
    seconds: float
    lower: float
    upper: float | None
    source: str


@dataclass(frozen=True)
class Realisation:
    """How well the perturbed clip's own flow P(v') follows the asked P(v) + delta (section 2). Ratios to ||delta||."""

    rms: float
    median: float


@dataclass(frozen=True)
class AdversarialExample:
    """A concrete perturbation that changes the class, re-evaluated in float64 on the perturbed clip.

    `delta`: float64; (l-1, 2, h, w) pixels, component 0 horizontal, where flows are changed, (l, 3, h, w) pixel values where
    the frames are, also by a natural distortion. `clip`: (l, 3, h, w) in [0, 1], not rounded. `label` and `confidence`: of that
    clip, or of its copy in 8 bits where only examples that survive rounding count. `realisation`: None where no flow is changed.
    """

    delta: Tensor
    clip: Tensor
    label: int
    confidence: float
    distances: dict[Norm, float]
    shares: tuple[
        float, ...
    ]  #: per flow (or frame, where frames are changed), its part of the squared L2 norm; sums to 1
    realisation: Realisation | None
    quality: Quality  #: of the clip's frames, compared with the original ones
    survives_rounding: bool  #: the class stays changed after the frames are rounded to 8 bits
    grey_levels: dict[Norm, float]  #: how far the clip is from the original one, in grey levels of 8 bits (Figure 8)
    parameters: dict[str, float] | None  #: of a natural distortion, by name and with their signs; None elsewhere


@dataclass(frozen=True)
class Turn:
    """One turn of the game: Player I chose `flow`, Player II `dimension` in it, counted from 0 over all flows.

    Natural distortions have no flows to choose from: there `flow` is None and `dimension` is one of the parameters.

    Over cells: cell number `came_from`, of least `estimate`, was cut at `place`; it became the half below (theta = -1), and cell
    number `open` the half above (theta = +1). On a grid: the players came from point number `came_from` by `theta`, to a point at
    distance `estimate`; `place` is None. `open`: how many cells there were, or points in the open list.
    """

    flow: int | None
    dimension: int
    theta: int | None
    place: float | None
    came_from: int
    estimate: float
    open: int


@dataclass(frozen=True)
class GamePicture:
    """The state of the game over cells, as a person sees it. Distances in the unit of the space.

    `cells` cover the space, and `certified` of them are proven up to `target`; `estimate` is the least of all. `bounded`: how
    often the margins over a cell have been bounded. `flows` and `strategy`: the flows that may change and how likely Player I
    chooses each. `directions`: how likely Player II then acts along x and along y, for each flow. `heat`: (h, w), from 0 to 1,
    where Player II acts.
    """

    cells: int
    certified: int
    bounded: int
    estimate: float
    target: float
    flows: tuple[int, ...]
    strategy: tuple[float, ...]
    directions: tuple[tuple[float, float], ...]
    heat: Tensor


@dataclass(frozen=True)
class GridPicture:
    """The state of the game over a grid (the paper's Algorithm 1), as a person sees it. Distances in the unit of the space.

    `tau`: the atomic manipulation, in the coordinates' unit; None before one is derived. `fmsr`: no adversarial point of the
    present grid is nearer. `certified`: proven for all perturbations between its points as well. `conditional`: what Theorem 1
    gives, if no cell of a point that keeps the class has an adversarial example in it, and what that is worth as `guarantee`.
    `visited`: points evaluated. `unresolved`: points that keep the class, but count as adversarial.
    """

    tau: float | None
    fmsr: float
    certified: float
    conditional: float
    guarantee: Guarantee
    visited: int
    unresolved: int


@dataclass(frozen=True)
class Result:
    """The outcome of `verify`. `upper is None` until an adversarial example is found; then `adversarial` holds it.

    `game`: how the players left it, where there were any. `mirror`: where the clip is mirrored, the decision about the clip that
    was given. `lower_grey_levels`: every natural distortion of the family whose clip differs by less than this from the original
    one, in the L2 norm over the clip and in grey levels of 8 bits, keeps the class; None where the family's clips do not only
    move away from the original one, and for other spaces.
    """

    label: int
    confidence: float
    lower: float
    lower_guarantee: Guarantee
    upper: float | None
    adversarial: AdversarialExample | None
    status: Status
    seconds: float
    history: tuple[BoundPoint, ...]
    game: GamePicture | GridPicture | None = None
    mirror: MirrorPair | None = None
    lower_grey_levels: float | None = None

    def answer(self, radius: float) -> Answer:
        """Whether every change of at most `radius` keeps the class, as far as the bounds tell."""
        if self.lower >= radius:
            return Answer.SAFE
        return Answer.UNSAFE if self.upper is not None and self.upper <= radius else Answer.UNKNOWN
