"""What travels over the socket, typed. The frontend's `live` island declares the same messages in TypeScript.

Server to browser only; each message carries `number`, the number of the last bound that the browser has been
told. A browser that misses numbers asks for them by REST: GET /api/v1/verifications/<id>/bounds/?after=N.
"""

from typing import Any, Literal, NotRequired, TypedDict

from torch.nn.functional import adaptive_avg_pool2d

from verification.engine.result import AdversarialExample, GamePicture, GridPicture
from verification.models import Bound, Verification


class Point(TypedDict):
    """One row of `Bound`."""

    number: int
    seconds: float
    lower: float
    upper: float | None
    source: str


def as_point(bound: Bound) -> Point:
    """A row as it travels."""
    return Point(number=bound.number, seconds=bound.seconds, lower=bound.lower, upper=bound.upper, source=bound.source)


class Game(TypedDict):
    """What there is to see of the two players (`GamePicture`); `heat` in rows of at most `HEAT` cells, from 0 to 100."""

    cells: int
    certified: int
    estimate: float
    target: float
    flows: list[int]
    strategy: list[float]
    directions: list[list[float]]
    heat: list[list[int]]


#: Rows and columns of a heat map that is sent, at most.
HEAT = 16


def as_game(picture: GamePicture | GridPicture) -> "Game | Grid":
    """A picture as it travels."""
    if isinstance(picture, GridPicture):
        return Grid(
            tau=picture.tau,
            fmsr=picture.fmsr,
            certified=picture.certified,
            conditional=picture.conditional,
            guarantee=picture.guarantee.value,
            visited=picture.visited,
            unresolved=picture.unresolved,
        )
    height, width = picture.heat.shape
    coarse = adaptive_avg_pool2d(picture.heat[None, None], (min(height, HEAT), min(width, HEAT)))[0, 0]
    return Game(
        cells=picture.cells,
        certified=picture.certified,
        estimate=picture.estimate,
        target=picture.target,
        flows=list(picture.flows),
        strategy=[round(share, 4) for share in picture.strategy],
        directions=[[round(x, 4), round(y, 4)] for x, y in picture.directions],
        heat=(100 * coarse).round().int().tolist(),
    )


class Grid(TypedDict):
    """What there is to see of the paper's grid (`GridPicture`)."""

    tau: float | None
    fmsr: float
    certified: float
    conditional: float
    guarantee: str
    visited: int
    unresolved: int


class Likeness(TypedDict):
    """How alike the changed frames are to the original ones: `Quality`, psnr in dB, null where no frame is changed."""

    changed: int
    psnr: float | None
    psnr_worst: float | None
    ssim: float
    ssim_worst: float


class Example(TypedDict):
    """What is known of the adversarial example beside its class; `distances` by norm, `shares` by flow (or frame).

    `grey_levels`: how far the clips are apart, by norm. `parameters`: of the distortion, signed; null elsewhere. Examples of old
    runs have neither.
    """

    distances: dict[str, float]
    shares: list[float]
    quality: Likeness
    survives_rounding: bool
    grey_levels: NotRequired[dict[str, float]]
    parameters: NotRequired[dict[str, float] | None]


def as_example(example: AdversarialExample) -> Example:
    """An example as it is recorded and travels."""
    seen = example.quality
    return Example(
        distances={norm.value: distance for norm, distance in example.distances.items()},
        shares=list(example.shares),
        quality=Likeness(
            changed=seen.changed,
            psnr=seen.psnr,
            psnr_worst=seen.psnr_worst,
            ssim=seen.ssim,
            ssim_worst=seen.ssim_worst,
        ),
        survives_rounding=example.survives_rounding,
        grey_levels={norm.value: distance for norm, distance in example.grey_levels.items()},
        parameters=example.parameters,
    )


class GameMessage(TypedDict):
    """The players have moved."""

    type: Literal["game"]
    game: Game | Grid


class BoundsMessage(TypedDict):
    """New points, in order."""

    type: Literal["bounds"]
    points: list[Point]


class StatusMessage(TypedDict):
    """The verification is queued, runs, or has ended. `elapsed`: seconds of work so far.

    `certifying`: its certificate is being written. `uncertified`: why there will be none.
    """

    type: Literal["status"]
    status: str
    elapsed: float
    error: str
    certifying: bool
    uncertified: str


def as_status(verification: Verification) -> StatusMessage:
    """The status as it travels."""
    return StatusMessage(
        type="status",
        status=verification.status,
        elapsed=verification.elapsed,
        error=verification.error,
        certifying=verification.certifying,
        uncertified=verification.no_certificate,
    )


class EventMessage(TypedDict):
    """One line for whoever watches; `event` is its number, counted from 1."""

    type: Literal["event"]
    event: int
    seconds: float
    text: str


class AdversarialMessage(TypedDict):
    """A better adversarial example: `revision` of its pictures, which the browser fetches again."""

    type: Literal["adversarial"]
    label: int | None
    confidence: float | None
    revision: int


class SnapshotMessage(TypedDict):
    """The whole verification in the JSON of the API: on connect, and when its class becomes known."""

    type: Literal["snapshot"]
    verification: dict[str, Any]
    number: int


#: What the worker publishes; the consumer adds `number`.
Update = BoundsMessage | StatusMessage | EventMessage | AdversarialMessage | GameMessage
