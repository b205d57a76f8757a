"""A linear functional and what relaxations exceed it by, in a ball whose radius all of them share (docs/bounds.md, section 9).

A perturbation that follows the functional spreads over the picture; one that leads a relaxation astray has to concentrate
where it looks. Both at once cost more than there is: so the worst of the sum is much less than the sum of the worst.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.bounds.places import Place, Places
from verification.engine.relaxation import Form, Rounding

_LEAST = 0.05  # of the linear part goes to every excess, relative to an even share
_STEPS = 4  # of the search for the multiplier; they decide tightness, never soundness


@dataclass(frozen=True)
class Excess:
    """By how much functionals can fall below their planes at one value.

    `heights` (budgets, P, K, rows, columns): because of each place, if at most this much of the radius is spent on what it
    sees; convex in that, and nothing where nothing is spent. In L2 the squares are divided: what a pixel spends counts as an
    n-th for each of the n places that see it. `most` (P, K, rows, columns): what no height exceeds within the ball.
    `first` (P, 2): the places' window begins there.
    """

    places: Places
    heights: Tensor
    most: Tensor
    first: Tensor

    def plus(self, other: "Excess") -> "Excess | None":
        """Both together, where they are of the same places."""
        same = self.places is other.places and self.heights.shape == other.heights.shape
        if not same or not torch.equal(self.first, other.first):
            return None
        return Excess(self.places, self.heights + other.heights, self.most + other.most, self.first)

    def _sides(self, form: Form) -> list[tuple[Tensor, Tensor]]:
        """Of rows and columns the places (P or 1, n) and pixels (P or 1, m) of the windows."""
        first, offsets = self.first, form.offsets[:, 3:5]
        kept = 1 if bool((first == first[:1]).all()) and bool((offsets == offsets[:1]).all()) else None
        places = [first[:kept, i, None] + torch.arange(n) for i, n in enumerate(self.heights.shape[3:])]
        return list(zip(places, (pixels[:kept] for pixels in _pixels(form)), strict=True))

    def gathered(self, values: Tensor, form: Form) -> Tensor:
        """Values (P, K, h, w) of the pixels, divided between the places that see them: (P, K, rows, columns)."""
        sides = zip((self.places.rows, self.places.columns), self._sides(form), strict=True)
        down, across = (side.shares(*index).to(values).unsqueeze(1) for side, index in sides)
        return down @ values @ across.transpose(2, 3)

    def spread(self, form: Form, heights: Tensor) -> Tensor:
        """(P, K, h, w): for every pixel the sum of these heights (P, K, rows, columns) of the places that see it."""
        sides = zip((self.places.rows, self.places.columns), self._sides(form), strict=True)
        down, across = (side.seen(*index).to(heights).unsqueeze(1) for side, index in sides)
        return down.transpose(2, 3) @ heights @ across

    def smallest(self, place: Place, form: Form) -> Tensor:
        """(P, 1, rows, columns): the least part that counts for `place` of any pixel that each of these places sees."""
        parts = []
        for side, (places, pixels), weights in zip(
            (self.places.rows, self.places.columns),
            self._sides(form),
            place.weights(_pixels(form)),
            strict=True,
        ):
            # What the place does not see cannot count for the functional: it does not depend on it.
            seen = side.seen(places, pixels) & (weights > 0).unsqueeze(1)
            parts.append(torch.where(seen, weights.unsqueeze(1), 1.0).amin(2))
        return (parts[0].unsqueeze(2) * parts[1].unsqueeze(1)).unsqueeze(1)


def _pixels(form: Form) -> list[Tensor]:
    """The rows and the columns of the clip that windows see, (P, n) each."""
    return [form.offsets[:, axis, None] + torch.arange(form.window[axis]) for axis in (3, 4)]


def _index_of(budgets: Sequence[float], radius: float) -> int:
    """The first budget that the radius does not exceed."""
    return next(i for i, budget in enumerate(budgets) if budget >= radius)


def joint_maximum(
    slopes: Tensor, excesses: Sequence[Excess], form: Form, budgets: Sequence[float], radius: float
) -> Tensor:
    """(P, K): the most that linear part and excesses make together in L1, where the radius is the sum of the pixels' parts.

    Their sum is convex: so the most is attained where one pixel has everything. `slopes` (P, K, h, w): of the linear part.
    """
    total = slopes * radius
    for excess in excesses:
        heights = torch.minimum(excess.heights[_index_of(budgets, radius)], excess.most)
        total = total + excess.spread(form, heights)
    return total.flatten(2).amax(2)


def joint_fall(
    slopes: Tensor,
    excesses: Sequence[Excess],
    form: Form,
    budgets: Sequence[float],
    radius: float,
    rounding: Rounding,
    place: Place | None = None,
) -> Tensor:
    """(P, K): the same in L2, from above. `budgets`: those of the heights, some of them at least the radius.

    For every m > 0 weak duality gives `m r^2 + sum_x max_z (slope_x z - m z^2)` for the linear part alone. Of linear part and
    penalty every excess gets a share a, divided between its places: a place adds the most by which
    `a (gamma z - m z^2) + height(z)` is above `a gamma^2 / 4 m`, with gamma its part of the slopes.

    Within the ball no place adds more than its `most` does.

    With `place`, of each pixel's square the part w alone counts, so that more can be spent. With `u = sqrt(w) z` all is as
    before, with slopes `slope / sqrt(w)`, and of the places within it `z <= u / sqrt(w)` with the least w there. The heights
    must then go on, convex, beyond the radius.
    """
    squares = slopes.square()
    scales: list[Tensor | None] = [None] * len(excesses)
    if place is not None:
        down, across = place.weights(_pixels(form))
        weights = (down.unsqueeze(2) * across.unsqueeze(1)).unsqueeze(1).to(squares)
        squares = torch.where(weights > 0, squares / weights, squares)
        scales = [excess.smallest(place, form).sqrt().to(squares) for excess in excesses]
    total = squares.flatten(2).sum(2)
    gammas = [excess.gathered(squares, form).sqrt() for excess in excesses]
    parts = [
        _Part.of(excess, gamma, share, budgets, radius, scale)
        for excess, gamma, share, scale in zip(excesses, gammas, _shares(excesses), scales, strict=True)
    ]
    least = torch.finfo(slopes.dtype).tiny ** 0.5
    low = (total.sqrt() / (2 * radius)).clamp(min=least)
    high = low + sum(part.steepest / part.share for part in parts) / (2 * radius)
    best = torch.full_like(total, torch.inf)
    for _ in range(_STEPS):
        m = (low * high).sqrt()
        value, spent = m * radius**2 + total / (4 * m), total / (4 * m.square())
        size = value
        for part in parts:
            more, used = part.raised(m)
            value, spent = value + more, spent + used
            size = size + more + part.size(m)
        best = torch.minimum(best, value + rounding.gamma(8 * slopes[0, 0].numel()) * size)
        dear = spent < radius**2  # the multiplier is too large: less than the radius is spent
        low, high = torch.where(dear, low, m), torch.where(dear, m, high)
    return best


def _shares(excesses: Sequence[Excess]) -> list[Tensor]:
    """(P, K) each, of sum one: more for what needs more of the linear part so as not to add to it. Any are sound."""
    if not excesses:
        return []
    needs = [excess.places.overlap * excess.most.flatten(2).amax(2) for excess in excesses]
    weights = torch.stack(needs).sqrt()
    weights = weights + _LEAST * weights.sum(0) + torch.finfo(weights.dtype).tiny
    return list((weights / weights.sum(0)).unbind(0))


@dataclass(frozen=True)
class _Part:
    """One excess, ready for many multipliers.

    `knots` (knots, P, 1, rows, columns) of z, or 1 for the last four, `heights` (knots, P, K, rows, columns), `most` and `gamma`
    (P, K, rows, columns), `share` (P, K).
    """

    knots: Tensor
    heights: Tensor
    most: Tensor | None
    gamma: Tensor
    share: Tensor

    @classmethod
    def of(
        cls,
        excess: Excess,
        gamma: Tensor,
        share: Tensor,
        budgets: Sequence[float],
        radius: float,
        scale: Tensor | None,
    ) -> "_Part":
        """`scale` (P, 1, rows, columns): of z, where more than the radius can be spent."""
        # With no scale a place spends at most the radius, which may lie between two budgets.
        count = len(budgets) if scale is not None else _index_of(budgets, radius) + 1
        knots = gamma.new_tensor([0.0, *budgets[:count]])[:, None, None, None, None]
        most: Tensor | None = excess.most
        if scale is not None:
            knots, most = knots * scale, None
        heights = torch.cat([torch.zeros_like(excess.heights[:1]), excess.heights[:count]])
        return cls(knots, heights, most, gamma, share)

    @property
    def steepest(self) -> Tensor:
        """(P, K): the norm of the places' steepest slopes."""
        return (self.heights[-1] / self.knots[-1]).square().flatten(2).sum(2).sqrt()

    def size(self, m: Tensor) -> Tensor:
        """What rounding is relative to, besides the result."""
        alone = self.share * self.gamma.square().flatten(2).sum(2) / (4 * m)
        return alone + self.heights[-1].flatten(2).sum(2)

    def raised(self, m: Tensor) -> tuple[Tensor, Tensor]:
        """(P, K) each: what the places add with the multiplier m (P, K), and how much more of the squares they spend."""
        share, m = self.share[..., None, None], m[..., None, None]
        price, pull = share * m, share * self.gamma
        alone = pull * self.gamma / (4 * m)
        best, where = alone, self.gamma / (2 * m)
        unmoved = where
        for i in range(len(self.knots) - 1):
            start, stop = self.knots[i], self.knots[i + 1]
            slope = pull + (self.heights[i + 1] - self.heights[i]) / (stop - start)
            z = torch.minimum(torch.maximum(slope / (2 * price), start), stop)
            value = self.heights[i] + slope * (z - start) + pull * start - price * z.square()
            if self.most is not None:
                level = torch.minimum(torch.maximum(unmoved, start), stop)
                value = torch.minimum(value, self.most + pull * level - price * level.square())
            where = torch.where(value > best, z, where)
            best = torch.maximum(best, value)
        used = share * (where.square() - unmoved.square())
        return (best - alone).flatten(2).sum(2), used.flatten(2).sum(2)
