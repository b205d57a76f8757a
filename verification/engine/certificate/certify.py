"""Making a certificate from a search: the search's cells, cut further wherever the checker cannot follow its proof."""

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.certificate.checker import MOST_DIMENSIONS, Checker
from verification.engine.certificate.cover import Ball, Split
from verification.engine.certificate.document import Certificate, CertificateError, clip_hash
from verification.engine.game.cells import CellSearch
from verification.engine.game.frontier import Move
from verification.engine.perturbation import FlowSpace
from verification.engine.specification import Specification

#: Splits that are added to those of the search at most, in one attempt.
MOST_SPLITS = 4000
_AT_ONCE = 32  # leaves that are proven together
_ATTEMPTS = 24  # at smaller and smaller radii
_THIN = 4  # times longer than a side that is cut may another one be
_SHRINK = 1 - 1e-9  # below the nearest leaf without a proof


def certify(
    problem: Problem,
    specification: Specification,
    search: CellSearch,
    lower: float,
    check: Callable[[], None],
    most: int = MOST_SPLITS,
) -> Certificate:
    """A certificate of a lower bound that the search has proven, by proofs of the checker alone.

    The checker's bounds are simpler than those of the search. Where they do not suffice its cells are split further; after
    `most` further splits the radius is lowered to the distance of the nearest leaf without a proof, or is halved. So the
    certificate's radius is what the checker has proven, which may be a little below `lower`. `check` is called between pieces
    of work.

    Raises CertificateError for spaces that are not cut into cells and where nothing can be proven, and UnsupportedOperationError
    for networks with an operation that the checker does not know.
    """
    space = problem.space
    if not isinstance(space, FlowSpace):
        raise CertificateError("certificates are made for spaces of flows; the space 'pixels' has none so far")
    if space.dimensions > MOST_DIMENSIONS:
        raise CertificateError(
            f"the space has {space.dimensions} dimensions: cells cannot cover it, and the bound of one ball in more than "
            f"{MOST_DIMENSIONS} dimensions needs more than the checker's simple bounds; so there is no certificate"
        )
    if not (math.isfinite(lower) and lower > 0):
        raise CertificateError("there is no certificate, because nothing has been proven")
    cpu = torch.device("cpu")
    checker = Checker(problem.graph.cast(torch.float64, cpu), problem.frames.to(cpu).double(), space, problem.label)
    tree, ball = _Tree.of(search.frontier.moves(), space.dimensions), Ball.of(space, problem.norm, lower)
    for _ in range(_ATTEMPTS):
        reached = _prove(tree, checker, ball, check, most)
        if reached == ball.radius:
            return _certificate(problem, specification, space, ball, tree.splits(ball))
        ball = Ball(ball.norm, ball.weights, max(reached * _SHRINK, ball.radius / 2))
    raise CertificateError("the checker's bounds are too weak for this network: there is no certificate")


@dataclass
class _Node:
    """A cell (K,) each; `parts` below and above `place` of coordinate `dimension`, if it is split."""

    lower: Tensor
    upper: Tensor
    parts: "tuple[_Node, _Node] | None" = None
    dimension: int = -1
    place: float = 0.0

    def split(self, dimension: int, place: float) -> "tuple[_Node, _Node]":
        below, above = self.upper.clone(), self.lower.clone()
        below[dimension], above[dimension] = place, place
        self.dimension, self.place = dimension, place
        self.parts = _Node(self.lower, below), _Node(above, self.upper)
        return self.parts


@dataclass(frozen=True)
class _Tree:
    """All cells from R^K on."""

    root: _Node

    @classmethod
    def of(cls, moves: Iterable[Move], dimensions: int) -> "_Tree":
        """The cells that the players' moves made."""
        infinite = torch.full((dimensions,), torch.inf, dtype=torch.float64)
        cells = [_Node(-infinite, infinite)]
        root = cells[0]
        for move in moves:
            below, above = cells[move.cell].split(move.dimension, move.place)
            cells[move.cell] = below
            cells.append(above)
        return cls(root)

    def leaves(self, ball: Ball) -> list[tuple[float, _Node]]:
        """Those that the ball touches, with their distances."""
        found, left = [], [self.root]
        while left:
            node = left.pop()
            distance = _distance(node, ball)
            if distance <= ball.radius:
                if node.parts is None:
                    found.append((distance, node))
                else:
                    left += node.parts
        return found

    def splits(self, ball: Ball) -> list[Split]:
        """Those of cells that the ball touches, numbered as in a certificate."""
        found: list[Split] = []
        left = [(self.root, 0)]
        while left:
            node, cell = left.pop()
            if node.parts is not None and _distance(node, ball) <= ball.radius:
                found.append(Split(cell, node.dimension, node.place))
                left += [(node.parts[0], cell), (node.parts[1], len(found))]
        return found


def _distance(node: _Node, ball: Ball) -> float:
    return float(ball.distances(node.lower[None], node.upper[None]))


def _prove(tree: _Tree, checker: Checker, ball: Ball, check: Callable[[], None], most: int) -> float:
    """Prove all leaves in the ball, the nearest first, with at most so many further splits. Returns how far the proof reaches."""
    left = [(distance, number, node) for number, (distance, node) in enumerate(tree.leaves(ball))]
    heapq.heapify(left)
    count, added = len(left), 0
    while left:
        batch = [heapq.heappop(left) for _ in range(min(_AT_ONCE, len(left)))]
        lower, upper = (torch.stack([getattr(node, side) for *_, node in batch]) for side in ("lower", "upper"))
        proof = checker.prove(lower, upper, ball, check)
        for row, (*_, node) in enumerate(batch):
            if float(proof.margins[row]) > 0:
                continue
            if added == most:
                return min(near for near, *_ in (*batch[row:], *left))
            added += 1
            for part in node.split(*_cut(node, ball, proof.slopes[row], checker)):
                if (near := _distance(part, ball)) <= ball.radius:
                    count += 1
                    heapq.heappush(left, (near, count, part))
    return ball.radius


def _cut(node: _Node, ball: Ball, slopes: Tensor, checker: Checker) -> tuple[int, float]:
    """Where whole pixels are inside, at those in the middle; otherwise where the margin changes most, in the middle."""
    lower, upper = (side[0] for side in ball.clipped(node.lower[None], node.upper[None]))
    width = (upper - lower) * checker.reach
    inside = (lower.floor() + 1 < upper) & bool(len(checker.imposed.kinds))
    # A slope may vanish where the margin bends: no side becomes much shorter than the others.
    steep = torch.where(width * _THIN >= width.amax(), slopes, 0.0)
    score = torch.where(inside, width, 0.0) if bool(inside.any()) else steep if bool(steep.any()) else width
    dimension = int(score.argmax())
    first, last = float(lower[dimension]), float(upper[dimension])
    line = float(round((first + last) / 2))
    return dimension, line if bool(inside[dimension]) and first < line < last else first / 2 + last / 2


def _certificate(
    problem: Problem, specification: Specification, space: FlowSpace, ball: Ball, splits: list[Split]
) -> Certificate:
    classifier = specification.classifier
    return Certificate(
        classifier=classifier.sha256,
        architecture=classifier.architecture,
        clip=clip_hash(problem.frames),
        input=classifier.input,
        space=specification.space,
        flows=space.flows,
        extractor=specification.extractor,
        norm=problem.norm,
        radius=ball.radius,
        label=problem.label,
        dimensions=space.dimensions,
        splits=tuple(splits),
    ).sealed()
