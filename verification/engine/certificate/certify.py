"""Making a certificate of a bound that a search has proven, by proofs of the checker alone."""

import math
from collections.abc import Callable

import torch

from verification.engine.bounds.problem import Problem
from verification.engine.certificate.ball_checker import BallChecker
from verification.engine.certificate.certify_ball import prove_ball
from verification.engine.certificate.certify_cells import prove_cells
from verification.engine.certificate.checker import MOST_DIMENSIONS, Checker
from verification.engine.certificate.cover import Ball, Split
from verification.engine.certificate.document import Certificate, CertificateError, Method, clip_hash
from verification.engine.game.cells import CellSearch
from verification.engine.perturbation import Distortion, FlowSpace
from verification.engine.specification import Specification

#: Splits that are added to those of the search at most, in one attempt.
MOST_SPLITS = 4000


def certify(
    problem: Problem,
    specification: Specification,
    search: CellSearch | None,
    lower: float,
    check: Callable[[], None],
    most: int = MOST_SPLITS,
) -> Certificate:
    """A certificate of the lower bound `lower`; by the cells of `search`, if there are any, and otherwise by one ball.

    The checker's bounds are simpler than those of the search. Where they do not suffice, cells are split further, at most `most`
    times, and the radius is lowered. So the certificate's radius is what the checker has proven, which may be below `lower`.
    `check` is called between pieces of work.

    Raises CertificateError where nothing can be proven, and UnsupportedOperationError for networks with an operation, or spaces
    with a norm, that the checker does not know.
    """
    if not (math.isfinite(lower) and lower > 0):
        raise CertificateError("nothing has been proven")
    cpu = torch.device("cpu")
    graph, frames, space = problem.graph.cast(torch.float64, cpu), problem.frames.to(cpu).double(), problem.space
    if search is not None and isinstance(space, FlowSpace | Distortion) and space.dimensions <= MOST_DIMENSIONS:
        checker = Checker(graph, frames, space, problem.label)
        ball = Ball.of(space, problem.norm, lower)
        ball, splits = prove_cells(checker, ball, search.frontier.moves(), most, check)
        return _certificate(problem, specification, Method.CELLS, ball.radius, splits)
    with torch.no_grad():
        logits = graph(frames.unsqueeze(0))[0]
    others = torch.cat([logits[: problem.label], logits[problem.label + 1 :]])
    margin = float(logits[problem.label] - others.amax())
    radius = prove_ball(BallChecker(graph, frames, space, problem.norm, problem.label), lower, margin, check)
    return _certificate(problem, specification, Method.BALL, radius, ())


def _certificate(
    problem: Problem, specification: Specification, method: Method, radius: float, splits: tuple[Split, ...]
) -> Certificate:
    classifier, space = specification.classifier, problem.space
    return Certificate(
        classifier=classifier.sha256,
        architecture=classifier.architecture,
        clip=clip_hash(problem.frames),
        mirrored=specification.clip.mirrored,
        input=classifier.input,
        space=specification.space,
        flows=space.flows if isinstance(space, FlowSpace) else (),
        extractor=specification.extractor,
        norm=problem.norm,
        radius=radius,
        label=problem.label,
        method=method,
        dimensions=space.dimensions,
        splits=splits,
    ).sealed()
