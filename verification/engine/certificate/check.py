"""Is a certificate valid for a clip and a classifier? The answer, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import torch

from verification.engine.certificate.ball_checker import BallChecker
from verification.engine.certificate.checker import MOST_DIMENSIONS, Checker
from verification.engine.certificate.cover import Ball, leaves_of
from verification.engine.certificate.document import Certificate, Method, clip_hash
from verification.engine.clip import Clip
from verification.engine.errors import EngineError, UnsupportedOperationError
from verification.engine.flow import build_extractor
from verification.engine.network import Classifier
from verification.engine.network.export import export_graph
from verification.engine.perturbation import Distortion, FlowSpace, Space, build_space

_AT_ONCE = 64  # leaves between two looks at what has failed


class Outcome(Enum):
    """`VALID`: the claim is proven. `INVALID`: it is not. `UNKNOWN`: this checker cannot tell."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "cannot check"


@dataclass(frozen=True)
class Verdict:
    """`reason` says what is proven, or what is wrong. `leaves`: how many were proven; a ball is one."""

    outcome: Outcome
    reason: str
    leaves: int = 0

    @property
    def valid(self) -> bool:
        return self.outcome is Outcome.VALID


def check(
    certificate: Certificate, clip: Clip, classifier: Classifier, pause: Callable[[], None] = lambda: None
) -> Verdict:
    """Prove the certificate's claim again. `pause` is called between pieces of work and may raise `Stopped`.

    `clip`: as the video shows it; it is mirrored here where the certificate is of the mirrored one.

    What has to hold: the digest, the file of the classifier, its input and the clip are those of the certificate; the space can
    be built and has its dimensions; and the class is kept in the whole ball, or the splits make a cover and it is kept in every
    leaf that the ball touches.
    """
    clip = clip.oriented(certificate.mirrored)
    try:
        wrong = _mismatch(certificate, clip, classifier)
        return _invalid(wrong) if wrong else _proven(certificate, clip, classifier, pause)
    except UnsupportedOperationError as error:
        return Verdict(Outcome.UNKNOWN, str(error))
    except EngineError as error:
        return _invalid(str(error))


def check_form(certificate: Certificate) -> Verdict:
    """What can be told without clip and classifier: digest and cover. Never valid: the claim remains to be proven."""
    if not certificate.intact:
        return _invalid(_DAMAGED)
    if certificate.method is Method.BALL:
        return Verdict(Outcome.UNKNOWN, "well-formed, one ball; not checked: that takes the clip and the classifier")
    try:
        leaves, _ = leaves_of(certificate.splits, certificate.dimensions)
    except EngineError as error:
        return _invalid(str(error))
    count = len(leaves)
    return Verdict(Outcome.UNKNOWN, f"well-formed, {count} leaves; not checked: that takes the clip and the classifier")


_DAMAGED = "the digest does not fit the content: the file has been damaged or changed"


def _invalid(reason: str) -> Verdict:
    return Verdict(Outcome.INVALID, reason)


def _mismatch(certificate: Certificate, clip: Clip, classifier: Classifier) -> str | None:
    """What is not as the certificate says."""
    if not certificate.intact:
        return _DAMAGED
    if classifier.sha256 != certificate.classifier:
        return "the certificate is for the file of another classifier"
    if classifier.architecture != certificate.architecture:
        return f"the certificate reads the classifier as {certificate.architecture}, not as {classifier.architecture}"
    if classifier.input != certificate.input:
        return "the certificate is for another input specification of the classifier"
    if clip_hash(clip.frames) != certificate.clip:
        return "the certificate is for another clip, or for other frames of it"
    if not bool(((clip.frames >= 0) & (clip.frames <= 1)).all()):
        return "the values of the clip's frames do not lie between 0 and 1"
    if tuple(clip.frames.shape) != classifier.input.shape[1:]:
        return "the clip does not have the size that the classifier wants"
    return None


def space_of(certificate: Certificate, clip: Clip) -> Space:
    """The certificate's space for a clip. Raises SpecificationError."""
    flow = build_extractor(certificate.extractor)
    return build_space(
        certificate.space, clip.length, *clip.size, certificate.flows or None, lambda: flow.extract(clip.frames)
    )


def _proven(certificate: Certificate, clip: Clip, classifier: Classifier, pause: Callable[[], None]) -> Verdict:
    space = space_of(certificate, clip)
    if isinstance(space, FlowSpace) and not certificate.flows:
        return _invalid("the certificate does not name the flows that may change: choose at least one of them")
    if (space.flows if isinstance(space, FlowSpace) else ()) != certificate.flows:
        return _invalid("the flows of the certificate are not in order")
    if space.dimensions != certificate.dimensions:
        return _invalid(f"the space has {space.dimensions} dimensions, not {certificate.dimensions}")
    graph = export_graph(classifier.module, (1, *clip.frames.shape)).cast(torch.float64, torch.device("cpu"))
    classes = graph.output_shape[1]
    if not certificate.label < classes or classes < 2:
        return _invalid(f"there is no class {certificate.label} among {classes} that could be kept")
    frames = clip.frames.double()
    if certificate.method is Method.BALL and isinstance(space, Distortion):
        return _invalid("natural distortions are proven by cells, not by a ball")
    if certificate.method is Method.BALL:
        return _ball_proven(certificate, BallChecker(graph, frames, space, certificate.norm, certificate.label), pause)
    if not isinstance(space, FlowSpace | Distortion) or space.dimensions > MOST_DIMENSIONS:
        return Verdict(
            Outcome.UNKNOWN,
            f"only spaces of flows with at most {MOST_DIMENSIONS} dimensions and distortions are cut into leaves",
        )
    return _cells_proven(certificate, Checker(graph, frames, space, certificate.label), pause)


def _ball_proven(certificate: Certificate, checker: BallChecker, pause: Callable[[], None]) -> Verdict:
    if certificate.splits:
        return _invalid("a ball is not split into leaves")
    margin = checker.margin(certificate.radius, pause)
    if not margin > 0:
        return _invalid(
            f"the ball of radius {certificate.radius} is not proven: some margin may be as low as {margin:.4g}"
        )
    return _valid(certificate, 1)


def _cells_proven(certificate: Certificate, checker: Checker, pause: Callable[[], None]) -> Verdict:
    lower, upper = leaves_of(certificate.splits, certificate.dimensions)
    ball = Ball.of(checker.space, certificate.norm, certificate.radius)
    touched = (ball.distances(lower, upper) <= ball.radius).nonzero()[:, 0]
    for rows in touched.split(_AT_ONCE):
        margins = checker.prove(lower[rows], upper[rows], ball, pause).margins
        if not bool((margins > 0).all()):
            row = int(rows[int((~(margins > 0)).nonzero()[0])])
            return _invalid(
                f"leaf {row}, from {_point(lower[row])} to {_point(upper[row])}, is not proven: some margin may be as low as "
                f"{float(margins[~(margins > 0)][0]):.4g}"
            )
    return _valid(certificate, len(touched))


def _valid(certificate: Certificate, leaves: int) -> Verdict:
    flows = f" (flows {', '.join(map(str, certificate.flows))})" if certificate.flows else ""
    return Verdict(
        Outcome.VALID,
        f"every perturbation of {certificate.space}{flows} with {certificate.norm.value} norm at most {certificate.radius} keeps "
        f"class {certificate.label}{' of the clip mirrored left to right' if certificate.mirrored else ''}",
        leaves,
    )


def _point(coordinates: torch.Tensor) -> str:
    return "(" + ", ".join(f"{value:g}" for value in coordinates.tolist()) + ")"
