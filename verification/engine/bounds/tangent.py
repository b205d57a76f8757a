"""Linear bounds of differences: the network that says how fast its values change on a straight way through the region.

Along the way from one clip of the region to another every value x has a rate of change u. Affine operations treat rates as
they treat values, without their constants; elementwise functions multiply them by one of their derivatives on the box of x.
That is a graph again, whose largest output is the Lipschitz constant; its linear bounds keep signs that a box of gradients
forgets at every layer (docs/bounds.md, section 8).
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from verification.engine.bounds.budget import shared_slope
from verification.engine.bounds.derivative import partial_derivatives
from verification.engine.bounds.joint import Excess
from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.pixels import PixelBall
from verification.engine.bounds.places import Place
from verification.engine.bounds.region import Region
from verification.engine.bounds.warp import FlowBall
from verification.engine.network.operations.base import Elementwise, Operation, Site
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.mixed import Mixed
from verification.engine.network.operations.varied import Varied
from verification.engine.relaxation import Cone, Form, Interval


def rate_boxes(bounds: LinearBounds) -> list[Interval]:
    """For every value of the graph the rates at which it can change on the way from one clip of the region to another.

    Per unit of the clips' distance. Empty if the graph contains an operation that is not affine, elementwise or max-pooling.
    """
    nodes = []
    for node, site in zip(bounds.graph.nodes, bounds.sites, strict=True):
        operation = _tangent(node.operation, site)
        if operation is None:
            return []
        nodes.append(replace(node, operation=operation))
    graph = replace(bounds.graph, nodes=tuple(nodes))
    return LinearBounds(graph, rates_of(bounds.region), bounds.check, bounds.memory).boxes


def _tangent(operation: Operation, site: Site) -> Operation | None:
    """What `operation` makes of the rates of its inputs."""
    if isinstance(operation, Elementwise):
        return Varied(operation.derivatives(site.rounding, *site.boxes))
    if isinstance(operation, MaxPool):
        return Mixed(operation, operation.contenders(site))
    return operation.linear_part()


def rates_of(region: Region) -> Region:
    """The rates of the pixels on the way from one clip of the region to another, of a distance of 1 each unit of time."""
    if isinstance(region, PixelBall):
        return PixelRates(torch.zeros_like(region.clip), 1.0, region.norm, region.rounding)
    if isinstance(region, FlowBall):
        return FlowRates(**{f.name: getattr(region, f.name) for f in fields(region)})
    raise TypeError(f"no rates are known for a {type(region).__name__}")


class PixelRates(PixelBall):
    """All rates u with `||u||_p <= 1`: those of values in [0, 1] have either sign, and no limits of their own."""

    def interval(self) -> Interval:
        ones = torch.ones_like(self.clip, dtype=self.rounding.dtype)
        return Interval(-ones, ones)

    def minimum(self, form: Form) -> Tensor:
        return self._over_ball(form)


class FlowRates(FlowBall):
    """`-(d_x D_x + d_y D_y)` for all delta with `||delta||_p <= 1` and all derivatives d that the ball allows."""

    def _slopes(self, budget: float) -> Tensor:
        """As in `FlowBall`: the middles of the derivatives count for g, their half widths for k."""
        boxes = [partial_derivatives(f, r) for f, r in zip(self._frames[0, 0], self._reach_within(budget), strict=True)]
        middles, halves = (
            torch.stack([part(box) for box in boxes], 1) for part in (lambda b: b.centre, lambda b: b.radius)
        )
        none = torch.zeros_like(middles)
        return torch.stack([middles, none, none, halves], 1).flatten(0, 1).unsqueeze(1)

    @cached_property
    def _unit(self) -> list[float]:
        """Per frame the largest displacement of each component at distance 1."""
        return [float(reach) * (1 + 1e-12) for reach in self.space.reach(1.0, self.norm)]

    def interval(self) -> Interval:
        slopes = self._zones[-1].slopes.abs()
        steepest = (slopes[[0, 4]] + slopes[[3, 7]]).sum(0)
        most = steepest * steepest.new_tensor(self._unit).view(1, -1, 1, 1, 1) * (1 + self.rounding.gamma(4))
        return Interval(-most, most)

    def cone(self) -> Cone | None:
        """None: what is bounded here has no clip in the middle."""
        return None

    def minima(
        self, form: Form, excesses: Sequence[Excess] = (), budgets: Sequence[float] = (), place: Place | None = None
    ) -> Tensor:
        return Region.minima(self, form)

    def minimum(self, form: Form) -> Tensor:
        form = form.full(0)
        rates = self._greatest(form, 1.0, partial(shared_slope, rounding=self.rounding))
        if self.rounding.rigorous:
            # Slopes are at most 1 and D at most `_unit`, so the rounding of g and k weighs at most the last term.
            weight = 2 * rates + 16 * form.coefficients.abs().flatten(2).sum(2) * max(self._unit)
            rates = rates + self.rounding.gamma(4 * form.coefficients[0, 0].numel()) * weight
        return -rates
