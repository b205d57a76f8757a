"""ReLU and LeakyReLU: piecewise linear with one kink at zero."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from verification.engine.network.lowering import Lowering, Value, lowers
from verification.engine.network.operations.base import Elementwise, Site, between
from verification.engine.relaxation import Cone, Form, Interval, Planes, Rounding


@dataclass(frozen=True)
class Relu(Elementwise):
    """`max(x, slope x)` with `0 <= slope < 1`; slope 0 is ReLU. Convex, so the chord bounds it from above."""

    slope: float = 0.0
    exact_interval = True

    def concrete(self, *inputs: Tensor) -> Tensor:
        return functional.leaky_relu(inputs[0], self.slope) if self.slope else inputs[0].relu()

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        result = Interval(self.concrete(boxes[0].lower), self.concrete(boxes[0].upper))
        return result.widened(rounding.gamma(1) * result.magnitude) if self.slope else result

    def undecided(self, box: Interval) -> Tensor:
        return (box.lower < 0) & (box.upper > 0)

    def ignored(self, box: Interval) -> Tensor:
        return box.upper <= 0 if self.slope == 0 else super().ignored(box)

    def planes(self, rounding: Rounding, *boxes: Interval) -> Planes:
        lower, upper = boxes[0].lower, boxes[0].upper
        kinked = (lower < 0) & (upper > 0)
        straight = torch.where(lower >= 0, torch.ones_like(lower), torch.full_like(lower, self.slope))
        # The chord from (lower, slope * lower) to (upper, upper); any slope in [self.slope, 1] is a lower bound.
        width = torch.where(kinked, upper - lower, torch.ones_like(lower))
        chord = torch.where(kinked, (upper - self.slope * lower) / width, straight)
        intercept = torch.where(kinked, (self.slope - chord) * lower, torch.zeros_like(lower))
        # The chord must stay above at both ends whatever its rounding did.
        intercept = intercept + kinked * rounding.gamma(1) * (upper - lower)
        # CROWN's adaptive choice: of the two extreme slopes the one that loses the smaller area.
        steep = torch.where(upper > -lower, torch.ones_like(lower), torch.full_like(lower, self.slope))
        below = torch.where(kinked, steep, straight)
        return Planes((below,), torch.zeros_like(lower), (chord,), intercept)

    def sloped(self, rounding: Rounding, slopes: Sequence[Tensor], *boxes: Interval) -> Planes:
        """Below any line between both pieces; nothing is better above than the chord."""
        planes = self.planes(rounding, *boxes)
        below = torch.where(self.undecided(boxes[0]), slopes[0].clamp(self.slope, 1.0), planes.lower_slopes[0])
        return Planes((below,), planes.lower_intercept, planes.upper_slopes, planes.upper_intercept)

    def _enclosing(self, site: Site) -> Tensor:
        """Below a parallel of the chord: nothing else costs an enclosure less."""
        planes = self.planes(site.rounding, *site.boxes)
        return self.prepared(replace(planes, lower_slopes=planes.upper_slopes), site)

    def cone(self, site: Site) -> Cone | None:
        """Convex: so are the upper ends. Below, the function lies above the straight line on the apex's side of the kink."""
        if site.cones is None:
            return None
        ((apex, base),) = ((cone.apex, cone.base) for cone in site.cones)
        ends = [self.interval(site.rounding, end) for end in (apex, base)]
        rising = apex.lower > 0
        # Of two numbers `where` would make float32, and 0.01 less than it is.
        slope = torch.where(rising, torch.ones_like(base.lower), self.slope)
        margin = site.rounding.gamma(1) * base.lower.abs() if self.slope else 0.0
        return Cone(
            Interval(torch.where(rising, apex.lower, ends[0].lower), ends[0].upper),
            Interval(slope * base.lower - margin, ends[1].upper),
        )

    def footprint(self, site: Site) -> Form | None:
        shape = site.shapes[0]
        return Form.sums(shape, self.channel_axis(shape), site.rounding.dtype, site.boxes[0].lower.device)

    def touching_planes(self, site: Site) -> Planes:
        """Below the straight line on the clip's side of the kink, above one that is tilted by `_tilt` of the bend."""
        rising, tilt = self._rising(site), self._tilt(site)
        bend = 1 - self.slope
        slope = torch.where(rising, 1.0, torch.full_like(tilt, self.slope))
        above = torch.where(rising, 1 - bend * tilt, self.slope + bend * tilt)
        margin = site.rounding.gamma(4) * site.boxes[0].magnitude
        return Planes((slope,), -margin, (above,), bend * self._height(site, tilt, 0.0) + margin)

    def excess(self, site: Site, shares: Sequence[float]) -> Tensor:
        tilt = self._tilt(site)
        start = self._height(site, tilt, 0.0)
        heights = [self._height(site, tilt, share) for share in shares] + [self._height(site, tilt, 1.0, wide=False)]
        excess = (1 - self.slope) * (torch.stack(heights) - start).clamp(min=0)
        return excess * self.undecided(site.boxes[0])

    def _rising(self, site: Site) -> Tensor:
        """Whether the clip is on the right of the kink; where all of the region is on one side, whether that is the right one."""
        assert site.cones is not None
        box = site.boxes[0]
        return torch.where(self.undecided(box), site.cones[0].apex.centre > 0, box.lower >= 0)

    def _beyond(self, site: Site, share: float, wide: bool) -> tuple[Tensor, Tensor]:
        """Upper bounds of how far x is beyond the kink, as seen from the clip, and of how far on the clip's side."""
        assert site.cones is not None
        rising, cone = self._rising(site), site.cones[0]
        apex, base = cone.apex, cone.stretched(site.stretch) if wide else cone.base
        most, least = (
            between(*ends, share, site.rounding) for ends in ((apex.upper, base.upper), (-apex.lower, -base.lower))
        )
        return torch.where(rising, least, most), torch.where(rising, most, least)

    def _tilt(self, site: Site) -> Tensor:
        """That of the chord over what `site.aim` of the radius allows; none where the kink is out of its reach."""
        beyond, before = (end.clamp(min=0) for end in self._beyond(site, site.aim, wide=False))
        width = beyond + before
        kinked = (width > 0) & self.undecided(site.boxes[0])
        return torch.where(kinked, beyond / torch.where(kinked, width, 1.0), 0.0)

    def _height(self, site: Site, tilt: Tensor, share: float, wide: bool = True) -> Tensor:
        """The most by which `max(0, d)` exceeds `tilt d`, d being how far x is beyond the kink."""
        beyond, before = self._beyond(site, share, wide)
        return torch.maximum((1 - tilt) * beyond, tilt * before).clamp(min=0)

    def derivatives(self, rounding: Rounding, *boxes: Interval) -> tuple[Interval, ...]:
        steep = torch.ones_like(boxes[0].lower)
        least = torch.where(boxes[0].lower >= 0, steep, self.slope)
        return (Interval(least, torch.where(boxes[0].upper <= 0, least, steep)),)


@lowers("aten.relu.default")
def _relu(graph: Lowering, x: Value) -> Value:
    return graph.emit(Relu(), x)
