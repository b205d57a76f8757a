"""Certified Lipschitz constants of the margins over a ball (engine contract, section 10; derivation in docs/bounds.md).

A box of gradients begins at the margins and is pulled back through the graph: every operation multiplies it by all
derivatives that it can have on the proven intervals of its inputs. What arrives at the clip goes through the warp and is
measured in the dual norm. A box forgets more with each layer; where it is better, its width is paid for on the way, by
the proven rate at which the value there can change at all.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from verification.engine.bounds.ball import ball_around
from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.tangent import rate_boxes
from verification.engine.network.graph import Graph
from verification.engine.network.operations.base import Elementwise
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.relaxation import Interval, Rounding
from verification.engine.relaxation.rounding import LARGEST

_FINE = 1.01  # the widest radius is found to this factor
_CUTS = 6  # how many divisions of the network into a paid and a carried part are tried


def lipschitz_constants(bounds: LinearBounds, label: int) -> Tensor:
    """(C - 1,): `|m_c(v) - m_c(v')| <= L_c dist(v, v')` for all clips v, v' of the bounded region.

    `m_c = N(v, label) - N(v, c)` for every other class c in the order of the classes; distances are the region's, for flows
    `||delta - delta'||_p` in pixels. A proof where the region's arithmetic is rigorous; infinite where nothing is proven.
    Raises UnsupportedOperationError for an operation without derivatives.
    """
    with torch.no_grad():
        batches = bounds.margin_batches(label)
        rates = rate_boxes(bounds)
        best = torch.cat([torch.full_like(rows[:, 0, 0], torch.inf) for rows in batches])
        for cut in _cuts(bounds.graph) if rates else [len(bounds.graph.nodes)]:
            constants = torch.cat([_constants(bounds, batch, rates, cut) for batch in batches])
            best = torch.fmin(best, constants)
    proven = torch.isfinite(best) & (best < LARGEST) & _tame(bounds.boxes) & _tame(rates)
    return torch.where(proven, best, torch.inf)


def _tame(boxes: list[Interval]) -> bool:
    return all(bool((box.magnitude < LARGEST).all()) for box in boxes)


def _cuts(graph: Graph) -> list[int]:
    """Numbers of values, spread over those whose derivatives vary; the first and the last possibility are among them."""
    varied = [value for value, wanted in enumerate(_varied(graph)) if wanted]
    steps = min(len(varied), _CUTS)
    return [*(varied[len(varied) * step // steps] - 1 for step in range(steps)), len(graph.nodes)]


def _varied(graph: Graph) -> list[bool]:
    """Which values are inputs of a function that is not affine: at them gradients become boxes."""
    varied = [False] * (len(graph.nodes) + 1)
    for node in graph.nodes:
        if isinstance(node.operation, Elementwise | MaxPool):
            for value in node.inputs:
                varied[value] = True
    return varied


def _constants(bounds: LinearBounds, rows: Tensor, rates: list[Interval], cut: int) -> Tensor:
    """(K,): constants of the functionals `rows` (K, *logits), with widths paid for at the values beyond `cut`."""
    gradient, paid = gradients(bounds, rows, rates, cut)
    steepness = bounds.region.steepness(gradient) + paid
    return steepness * (1 + bounds.rounding.gamma(1))


def gradients(bounds: LinearBounds, rows: Tensor, rates: list[Interval], cut: int) -> tuple[Interval, Tensor]:
    """Boxes (K, *clip) of gradients of `rows` (K, *logits) with respect to the clip, and (K,) what was paid on the way.

    For any two clips of the region a member g of the box has `|A . N(v) - A . N(v') - g . (v - v')| <= paid dist(v, v')`.
    """
    rounding, varied = bounds.rounding, _varied(bounds.graph)
    pending = {len(bounds.graph.nodes): Interval(rows, rows)}
    total = torch.zeros_like(rows[:, 0, 0])
    for number in range(len(bounds.graph.nodes), 0, -1):
        arrived = pending.pop(number, None)
        if arrived is None:
            continue
        bounds.check()
        total = torch.where((arrived.magnitude < LARGEST).flatten(1).all(1), total, torch.inf)
        if number > cut and varied[number]:
            arrived, paid = _paid(arrived, rates[number], rounding)
            total = total + paid
        node = bounds.graph.nodes[number - 1]
        parts = node.operation.jacobian(arrived, bounds.sites[number - 1])
        for value, part in zip(node.inputs, parts, strict=True):
            part = part.widened(rounding.underflow)
            pending[value] = pending[value].plus(part, rounding.gamma(1)) if value in pending else part
    none = rows.new_zeros((rows.shape[0], *bounds.graph.input_shape))
    total = total * (1 + rounding.gamma(len(bounds.graph.nodes)))
    return pending.get(0, Interval(none, none)), total


def _paid(gradient: Interval, rate: Interval, rounding: Rounding) -> tuple[Interval, Tensor]:
    """The middle of a box of gradients, and what its width can make of the rate of its value."""
    centre = gradient.centre
    width = gradient.radius + rounding.gamma(1) * gradient.magnitude
    paid = (width * rate.magnitude).flatten(1).sum(1)
    return Interval(centre, centre), paid * (1 + rounding.gamma(width[0].numel())) + rounding.underflow


def flow_constants(problem: Problem, radius: float, check: Callable[[], None], room: float = math.inf) -> Tensor:
    """`lipschitz_constants` of the problem's margins over the ball of `radius` pixels around the clip, a float64 proof.

    `room`: bytes for relaxations, see `LinearBounds`.
    """
    return lipschitz_constants(_bounds(problem, radius, check, room), problem.label)


def lipschitz_radius(problem: Problem, radius: float, check: Callable[[], None]) -> float:
    """A radius, at most `radius`, within which no perturbation changes the class: `min_c m_c(v) / L_c`. A float64 proof.

    `m_c` cannot fall below zero before it has lost all that it has at the clip.
    """
    return min(radius, _distance(problem, radius, _margins(problem, check), check))


def widest_lipschitz_radius(problem: Problem, least: float, check: Callable[[], None]) -> float:
    """Nearly the largest `lipschitz_radius` of all, or 0 if none is above `least` > 0, a radius that is proven already.

    Constants grow with the ball: the largest lies where `min_c m_c(v) / L_c(r)` falls below r.
    """
    if least <= 0:
        return 0.0
    margins = _margins(problem, check)
    low, high = least, _distance(problem, least, margins, check)
    best = 0.0
    while high > low * _FINE:
        radius = math.sqrt(low * high)
        reached = _distance(problem, radius, margins, check)
        best = max(best, min(radius, reached))
        low, high = (radius, min(high, reached)) if reached > radius else (low, radius)
    return best if best > least else 0.0


def _margins(problem: Problem, check: Callable[[], None]) -> Tensor:
    """(C - 1,): the margins of the clip itself, rounded down."""
    with torch.no_grad():
        return _bounds(problem, 0.0, check).margins(problem.label)


def _distance(problem: Problem, radius: float, margins: Tensor, check: Callable[[], None]) -> float:
    """How far the margins last at their fastest fall within the ball of `radius`; beyond it that says nothing."""
    if not bool((margins > 0).all()):
        return 0.0
    return float((margins / flow_constants(problem, radius, check)).min()) * (1 - 1e-12)


def _bounds(problem: Problem, radius: float, check: Callable[[], None], room: float = math.inf) -> LinearBounds:
    rounding = Rounding(rigorous=True)
    region = ball_around(problem.frames, problem.space, problem.norm, radius, rounding)
    with torch.no_grad():
        return LinearBounds(problem.graph_in(rounding.dtype), region, check, room=room, places=problem.places)
