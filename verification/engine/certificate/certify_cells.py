"""Proving a bound by cells: those of the search, cut further wherever the checker cannot follow its proof."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.certificate.checker import Checker
from verification.engine.certificate.cover import Ball, Split
from verification.engine.certificate.document import CertificateError
from verification.engine.game.frontier import Move

_AT_ONCE = 32  # leaves that are proven together
_ATTEMPTS = 24  # at smaller and smaller radii
_THIN = 4  # times longer than a side that is cut may another one be
_SHRINK = 1 - 1e-9  # below the nearest leaf without a proof


def prove_cells(
    checker: Checker, ball: Ball, moves: Iterable[Move], most: int, check: Callable[[], None]
) -> tuple[Ball, tuple[Split, ...]]:
    """The largest ball, at most `ball`, that the checker proves leaf by leaf, and the splits that make the leaves.

    `moves`: of the search's players, whose cells come first. After `most` further splits the radius is lowered to the distance of
    the nearest leaf without a proof, or is halved. Raises CertificateError where nothing can be proven.
    """
    tree = _Tree.of(moves, checker.space.dimensions)
    for _ in range(_ATTEMPTS):
        reached = _prove(tree, checker, ball, check, most)
        if reached == ball.radius:
            return ball, tuple(tree.splits(ball))
        ball = Ball(ball.norm, ball.weights, max(reached * _SHRINK, ball.radius / 2))
    raise CertificateError("the checker's bounds are too weak for this network")


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
    lower, upper = (side[0].clamp(*checker.space.domain()) for side in ball.clipped(node.lower[None], node.upper[None]))
    width = (upper - lower) * checker.clips.reach
    inside = (lower.floor() + 1 < upper) & checker.clips.whole
    # A slope may vanish where the margin bends: no side becomes much shorter than the others.
    steep = torch.where(width * _THIN >= width.amax(), slopes, 0.0)
    score = torch.where(inside, width, 0.0) if bool(inside.any()) else steep if bool(steep.any()) else width
    dimension = int(score.argmax())
    first, last = float(lower[dimension]), float(upper[dimension])
    line = float(round((first + last) / 2))
    return dimension, line if bool(inside[dimension]) and first < line < last else first / 2 + last / 2
