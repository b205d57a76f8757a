"""Certified Lipschitz constants of the margins over a ball (engine contract, section 10; derivation in docs/bounds.md).

A box of gradients begins at the margins and is pulled back through the graph: every operation multiplies it by all
derivatives that it can have on the proven intervals of its inputs. What arrives at the clip goes through the warp and is
measured in the dual norm.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.warp import FlowBall
from verification.engine.relaxation import Interval, Rounding
from verification.engine.relaxation.rounding import LARGEST


def lipschitz_constants(bounds: LinearBounds, label: int) -> Tensor:
    """(C - 1,): `|m_c(v) - m_c(v')| <= L_c dist(v, v')` for all clips v, v' of the bounded region.

    `m_c = N(v, label) - N(v, c)` for every other class c in the order of the classes; distances are the region's, for flows
    `||delta - delta'||_p` in pixels. A proof where the region's arithmetic is rigorous; infinite where nothing is proven.
    Raises UnsupportedOperationError for an operation without derivatives.
    """
    with torch.no_grad():
        rows = bounds.margin_rows(label)
        size = max(math.prod(bounds.graph.shape_of(value)) for value in range(len(bounds.boxes)))
        batches = rows.split(max(1, bounds.memory // size))
        constants = torch.cat([_constants(bounds, batch) for batch in batches])
    tame = all(bool((box.magnitude < LARGEST).all()) for box in bounds.boxes)
    return torch.where(torch.isfinite(constants) & (constants < LARGEST) & tame, constants, torch.inf)


def _constants(bounds: LinearBounds, rows: Tensor) -> Tensor:
    return bounds.region.steepness(gradients(bounds, rows))


def gradients(bounds: LinearBounds, rows: Tensor) -> Interval:
    """(K, *clip): boxes of the gradients of the functionals `rows` (K, *logits) of the logits, with respect to the clip.

    For any two clips of the region a member g of the box has `A . N(v) - A . N(v') = g . (v - v')`.
    """
    rounding = bounds.rounding
    pending = {len(bounds.graph.nodes): Interval(rows, rows)}
    for number in range(len(bounds.graph.nodes), 0, -1):
        arrived = pending.pop(number, None)
        if arrived is None:
            continue
        bounds.check()
        node = bounds.graph.nodes[number - 1]
        parts = node.operation.jacobian(arrived, bounds.sites[number - 1])
        for value, part in zip(node.inputs, parts, strict=True):
            part = part.widened(rounding.underflow)
            pending[value] = pending[value].plus(part, rounding.gamma(1)) if value in pending else part
    if 0 in pending:
        return pending[0]
    none = rows.new_zeros((rows.shape[0], *bounds.graph.input_shape))
    return Interval(none, none)


def flow_constants(problem: Problem, radius: float, check: Callable[[], None]) -> Tensor:
    """`lipschitz_constants` of the problem's margins over the ball of `radius` pixels around the clip, a float64 proof."""
    return lipschitz_constants(_bounds(problem, radius, check), problem.label)


def lipschitz_radius(problem: Problem, radius: float, check: Callable[[], None]) -> float:
    """A radius, at most `radius`, within which no perturbation changes the class: `min_c m_c(v) / L_c`. A float64 proof.

    `m_c` cannot fall below zero before it has lost all that it has at the clip.
    """
    with torch.no_grad():
        margins = _bounds(problem, 0.0, check).margins(problem.label)
    if not bool((margins > 0).all()):
        return 0.0
    distances = margins / flow_constants(problem, radius, check)
    return min(radius, float(distances.min()) * (1 - 1e-12))


def _bounds(problem: Problem, radius: float, check: Callable[[], None]) -> LinearBounds:
    rounding = Rounding(rigorous=True)
    region = FlowBall(problem.frames, problem.space, problem.norm, radius, rounding)
    with torch.no_grad():
        return LinearBounds(problem.graph_in(rounding.dtype), region, check)
