"""An exact peer for tiny ReLU networks: the distance of the nearest adversarial example, by Marabou (an SMT solver).

It knows nothing of the engine. It takes the layers from the torch module, and the perturbations as pieces on which the
clip is affine in a few parameters: a box of pixels is one piece, a lattice cell of displacements is another.
"""

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from maraboupy import MarabouCore
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
Layer = tuple[Array, Array]

#: How far another class must win, in logits, to count as found: more than the solver errs by itself.
MARGIN = 1e-5
#: The search ends when a radius without an example is this close below the example.
FINE = 1.002
_FAR = 1e6  # farther than any piece reaches
_SECONDS = 20  # for one question; tiny networks take milliseconds


class Stages(nn.Module):
    """Affine stages with ReLU between them, on the whole clip (1, l, 3, h, w)."""

    def __init__(self, *stages: nn.Module) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, clip: Tensor) -> Tensor:
        *inner, last = self.stages
        for stage in inner:
            clip = torch.relu(stage(clip))
        logits: Tensor = last(clip)
        return logits

    def layers(self, shape: Sequence[int]) -> list[Layer]:
        """(weights, offsets) of every stage on flattened values, found by feeding it unit vectors, in float64."""
        found, size = [], torch.Size(shape)
        for stage in copy.deepcopy(self).double().stages:
            with torch.no_grad():
                offset = stage(torch.zeros(1, *size, dtype=torch.float64))
                units = torch.eye(size.numel(), dtype=torch.float64).view(-1, 1, *size)
                columns = torch.stack([(stage(unit) - offset).flatten() for unit in units], 1)
            found.append((columns.numpy(), offset.flatten().numpy()))
            size = offset.shape[1:]
        return found


@dataclass(frozen=True)
class Piece:
    """Clips `base + slopes p` for `lower <= p <= upper`, at the distance `max(costs p)`.

    `base`: (n,); `slopes`: (n, k); `lower`, `upper`: (k,); `costs`: (rows, k).
    """

    base: Array
    slopes: Array
    lower: Array
    upper: Array
    costs: Array

    def distance(self, p: Array) -> float:
        return float((self.costs @ p).max())

    def range_within(self, radius: float) -> tuple[Array, Array]:
        """The box of `p`, cut by those costs that depend on a single parameter."""
        lower, upper = self.lower.copy(), self.upper.copy()
        for row in self.costs:
            (used,) = np.nonzero(row)
            if len(used) == 1 and row[used[0]] > 0:
                upper[used] = np.minimum(upper[used], radius / row[used])
            elif len(used) == 1:
                lower[used] = np.maximum(lower[used], radius / row[used])
        return lower, upper


@dataclass(frozen=True)
class Nearest:
    """The nearest example that was found, and how far it is; none is nearer than `distance / FINE`."""

    piece: Piece
    p: Array
    distance: float


def nearest(layers: Sequence[Layer], label: int, pieces: Iterable[Piece]) -> Nearest | None:
    """The nearest example in any of the pieces, up to FINE and MARGIN; None if there is none."""
    best: Nearest | None = None
    for piece in pieces:
        for rival in set(range(len(layers[-1][1]))) - {label}:
            limit = _FAR if best is None else best.distance
            best = _nearest_in(layers, label, rival, piece, limit) or best
    return best


def _nearest_in(layers: Sequence[Layer], label: int, rival: int, piece: Piece, limit: float) -> Nearest | None:
    """The nearest example in one piece towards one class, if it is within `limit`."""
    found, safe, radius = None, 0.0, limit
    while found is None or found.distance > safe * FINE:
        p = _solve(layers, label, rival, piece, radius)
        if p is not None:
            found = Nearest(piece, p, piece.distance(p))
        elif found is None:
            return None
        else:
            safe = radius
        radius = math.sqrt(safe * found.distance) if safe else found.distance / 2
    return found


def _solve(layers: Sequence[Layer], label: int, rival: int, piece: Piece, radius: float) -> Array | None:
    """Parameters within `radius` at which `rival` wins by MARGIN, or None."""
    lower, upper = piece.range_within(radius)
    if (lower > upper).any():
        return None
    query = MarabouCore.InputQuery()
    query.setNumberOfVariables(len(lower) + 2 * sum(len(offset) for _, offset in layers[:-1]))
    for index, (least, most) in enumerate(zip(lower, upper, strict=True)):
        query.setLowerBound(index, least)
        query.setUpperBound(index, most)
    for row in piece.costs:
        if np.count_nonzero(row) > 1:
            _at_most(query, row, 0, radius)
    outputs, weights, offsets = _add_layers(query, layers, piece)
    margin = weights[label] - weights[rival]
    _at_most(query, margin, outputs, offsets[rival] - offsets[label] - MARGIN)
    options = MarabouCore.Options()
    options._verbosity, options._timeoutInSeconds = 0, _SECONDS
    answer, values, _ = MarabouCore.solve(query, options, "")
    if answer not in ("sat", "unsat"):
        raise RuntimeError(f"the exact solver gave up: {answer}")
    return np.array([values[index] for index in range(len(lower))]) if answer == "sat" else None


def _add_layers(query: MarabouCore.InputQuery, layers: Sequence[Layer], piece: Piece) -> tuple[int, Array, Array]:
    """All layers but the last. Returns the first variable of what the last one takes, and its weights and offsets."""
    (weights, offsets), first, free = layers[0], 0, piece.slopes.shape[1]
    weights, offsets = weights @ piece.slopes, offsets + weights @ piece.base
    for following in layers[1:]:
        count = len(offsets)
        for row in range(count):
            equation = MarabouCore.Equation(MarabouCore.Equation.EQ)
            _add(equation, weights[row], first)
            equation.addAddend(-1.0, free + row)
            equation.setScalar(-offsets[row])
            query.addEquation(equation)
            MarabouCore.addReluConstraint(query, free + row, free + count + row)
        first, free, (weights, offsets) = free + count, free + 2 * count, following
    return first, weights, offsets


def _at_most(query: MarabouCore.InputQuery, coefficients: Array, first: int, most: float) -> None:
    equation = MarabouCore.Equation(MarabouCore.Equation.LE)
    _add(equation, coefficients, first)
    equation.setScalar(most)
    query.addEquation(equation)


def _add(equation: MarabouCore.Equation, coefficients: Array, first: int) -> None:
    for index, coefficient in enumerate(coefficients):
        if coefficient:
            equation.addAddend(float(coefficient), first + index)
