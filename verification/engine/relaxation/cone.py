"""Intervals that open linearly with the share of the radius that a perturbation spends (docs/bounds.md, section 9)."""

from dataclasses import dataclass

import torch

from verification.engine.relaxation.interval import Interval


@dataclass(frozen=True)
class Cone:
    """Whatever perturbation spends the share s of the radius, x lies between the ends of `(1 - s) apex + s base`.

    `apex` holds x at the clip itself, `base` over the whole region. `wide` takes the place of `base` where of pixels that
    several places see a part alone is counted as spent (`bounds.places`); None where that is not known.
    """

    apex: Interval
    base: Interval
    wide: Interval | None = None

    def stretched(self, factor: float) -> Interval:
        """`wide`, or what is as wide if the part that is counted is at least `1 / factor^2` of the squares."""
        if self.wide is not None:
            return self.wide
        apex, base = self.apex, self.base
        return Interval(
            apex.lower + factor * (base.lower - apex.lower), apex.upper + factor * (base.upper - apex.upper)
        )

    def narrowed(self, other: "Cone") -> "Cone":
        """End by end the one that is tighter at the base. An end of the one apex does not go with the other's base."""
        above, below = other.base.upper < self.base.upper, other.base.lower > self.base.lower

        def ends(mine: Interval, theirs: Interval) -> Interval:
            return Interval(torch.where(below, theirs.lower, mine.lower), torch.where(above, theirs.upper, mine.upper))

        wide = None if self.wide is None or other.wide is None else ends(self.wide, other.wide)
        return Cone(ends(self.apex, other.apex), ends(self.base, other.base), wide)
