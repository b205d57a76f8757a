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
_WIDEST = 256.0  # the ratio of the ends between which it is looked for


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


def joined(excesses: list[Excess], more: Excess | None) -> list[Excess]:
    """With `more`, put together with what is of the same places."""
    if more is None:
        return excesses
    for i, excess in enumerate(excesses):
        both = excess.plus(more)
        if both is not None:
            return [*excesses[:i], both, *excesses[i + 1 :]]
    return [*excesses, more]


def _pixels(form: Form) -> list[Tensor]:
    """The rows and the columns of the clip that windows see, (P, n) each."""
    return [form.offsets[:, axis, None] + torch.arange(form.window[axis]) for axis in (3, 4)]


@dataclass(frozen=True)
class Slopes:
    """By how much each pixel lets the linear part fall: at most `rates[i] z` where it spends `z <= budgets[i]` of the radius.

    `rates` (zones, P, K, h, w), which do not fall from zone to zone; `budgets` rise, the last one is the radius.
    """

    rates: Tensor
    budgets: Sequence[float]

    @classmethod
    def of(cls, rates: Tensor, budgets: Sequence[float]) -> "Slopes":
        """Whatever the rates are: those of a greater budget are raised to those of a smaller one."""
        return cls(rates.cummax(0).values if len(rates) > 1 else rates, budgets)

    @property
    def radius(self) -> float:
        return self.budgets[-1]

    @property
    def pixels(self) -> int:
        return self.rates[0, 0, 0].numel()

    def alone(self, price: Tensor) -> tuple[Tensor, Tensor]:
        """(P, K, h, w) each: the most by which a pixel falls when squares have this price, and what it spends for that."""
        best, where = self.rates[-1].square() / (4 * price), self.rates[-1] / (2 * price)
        if len(self.rates) == 1:
            return best, where
        # Beyond the last budget but one all that is known are the last rates.
        low = self.budgets[-2]
        where = where.clamp(min=low)
        best = where * (self.rates[-1] - price * where)
        least = 0.0
        for rate, most in zip(self.rates[:-1], self.budgets[:-1], strict=True):
            z = (rate / (2 * price)).clamp(least, most)
            value = z * (rate - price * z)
            where = torch.where(value > best, z, where)
            best = torch.maximum(best, value)
            least = most
        return best, where


def _index_of(budgets: Sequence[float], radius: float) -> int:
    """The first budget that the radius does not exceed."""
    return next(i for i, budget in enumerate(budgets) if budget >= radius)


def joint_maximum(slopes: Slopes, excesses: Sequence[Excess], form: Form, budgets: Sequence[float]) -> Tensor:
    """(P, K): the most that linear part and excesses make together in L1, where the radius is the sum of the pixels' parts.

    Their sum is convex: so the most is attained where one pixel has everything. `budgets`: those of the heights.
    """
    total = slopes.rates[-1] * slopes.radius
    for excess in excesses:
        heights = torch.minimum(excess.heights[_index_of(budgets, slopes.radius)], excess.most)
        total = total + excess.spread(form, heights)
    return total.flatten(2).amax(2)


def joint_fall(
    slopes: Slopes,
    excesses: Sequence[Excess],
    form: Form,
    budgets: Sequence[float],
    rounding: Rounding,
    place: Place | None = None,
) -> Tensor:
    """(P, K): the same in L2, from above. `budgets`: those of the heights, some of them at least the radius.

    For every m > 0 weak duality gives `m r^2 + sum_x e_x` for the linear part alone, `e_x` being the most by which
    `fall_x(z) - m z^2` is above zero. Of linear part and penalty every excess gets a share a, divided between its places: a
    place adds the most by which `a (fall(z) - m z^2) + height(z)` is above its part of `a e`.

    Within the ball no place adds more than its `most` does.

    With `place`, of each pixel's square the part w alone counts, so that more can be spent: squares have the price `w m`. If
    a place spends u of what counts, then z is at most `u / sqrt(w)` with the least w there. The heights must then go on,
    convex, beyond the radius, and the last rates hold there.
    """
    radius = slopes.radius
    weights = None if place is None else _weights(place, form).to(slopes.rates)
    squares = slopes.rates.square()
    if weights is not None:
        squares = torch.where(weights > 0, squares / weights, squares)
    total = squares[-1].flatten(2).sum(2)
    parts = [
        _Part.of(excess, share, slopes, squares, form, budgets, place)
        for excess, share in zip(excesses, _shares(excesses), strict=True)
    ]
    least = torch.finfo(squares.dtype).tiny ** 0.5
    low = (squares[0].flatten(2).sum(2).sqrt() / (2 * radius)).clamp(min=least)
    high = (total.sqrt() / (2 * radius)).clamp(min=least)
    high = high + sum(part.steepest / part.share for part in parts) / (2 * radius)
    low = torch.maximum(low, high / _WIDEST)
    best = torch.full_like(total, torch.inf)
    for _ in range(_STEPS):
        m = (low * high).sqrt()
        price = m[..., None, None]
        price = price if weights is None else torch.where(weights > 0, price * weights, price)
        alone, where = slopes.alone(price)
        value = m * radius**2 + alone.flatten(2).sum(2)
        spent = (price / m[..., None, None] * where.square()).flatten(2).sum(2)
        size = value
        for part in parts:
            more, used = part.raised(m, part.excess.gathered(alone, form))
            value, spent = value + more, spent + used
            size = size + more + part.size(m)
        best = torch.minimum(best, value + rounding.gamma(8 * slopes.pixels) * size)
        dear = spent < radius**2  # the multiplier is too large: less than the radius is spent
        low, high = torch.where(dear, low, m), torch.where(dear, m, high)
    return best


def _weights(place: Place, form: Form) -> Tensor:
    """(P, 1, h, w): which part of each pixel counts for `place`."""
    down, across = place.weights(_pixels(form))
    return (down.unsqueeze(2) * across.unsqueeze(1)).unsqueeze(1)


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

    Between `knots`, rising budgets of a place, heights lie below the chords of `heights` (knots, P, K, rows, columns), and the
    linear part rises at most at the rates `gammas[zones[i]]`, (zones, P, K, rows, columns). `scale`, (P, 1, rows, columns) or
    1: what counts of a budget. `most`: that of `excess`, within the ball. `share` (P, K).
    """

    excess: Excess
    knots: Sequence[float]
    heights: Tensor
    zones: Sequence[int]
    gammas: Tensor
    scale: Tensor
    most: Tensor | None
    share: Tensor

    @classmethod
    def of(
        cls,
        excess: Excess,
        share: Tensor,
        slopes: Slopes,
        squares: Tensor,
        form: Form,
        budgets: Sequence[float],
        place: Place | None,
    ) -> "_Part":
        # What a place spends is at most the radius, which may lie between two budgets, unless a part alone counts.
        count = len(budgets) if place is not None else _index_of(budgets, slopes.radius) + 1
        known = [0.0, *budgets[:count]]
        heights = torch.cat([torch.zeros_like(excess.heights[:1]), excess.heights[:count]])
        # A pixel that all places of the value see may have spent the root of their number times as much as counts here.
        ends = [budget / excess.places.overlap**0.5 for budget in slopes.budgets[:-1]]
        knots = sorted({*known, *ends})
        zones = [next((i for i, end in enumerate(ends) if knot <= end), len(ends)) for knot in knots[1:]]
        gammas = torch.stack([excess.gathered(part, form) for part in squares]).sqrt()
        scale = squares.new_ones(()) if place is None else excess.smallest(place, form).sqrt().to(squares)
        most = excess.most if place is None else None
        return cls(excess, knots, _between(knots, known, heights), zones, gammas, scale, most, share)

    @property
    def steepest(self) -> Tensor:
        """(P, K): the norm of the places' steepest slopes."""
        return (self.heights[-1] / (self.knots[-1] * self.scale)).square().flatten(2).sum(2).sqrt()

    def size(self, m: Tensor) -> Tensor:
        """What rounding is relative to, besides the result."""
        alone = self.share * self.gammas[-1].square().flatten(2).sum(2) / (4 * m)
        return alone + self.heights[-1].flatten(2).sum(2)

    def raised(self, m: Tensor, alone: Tensor) -> tuple[Tensor, Tensor]:
        """(P, K) each: what the places add with the multiplier m (P, K), and how much more of the squares they spend.

        `alone` (P, K, rows, columns): what they fall by without the excess.
        """
        share, m = self.share[..., None, None], m[..., None, None]
        price, alone = share * m, share * alone
        best, where = alone, self.gammas[0] / (2 * m)
        unmoved = where
        for i, zone in enumerate(self.zones):
            start, stop = self.knots[i] * self.scale, self.knots[i + 1] * self.scale
            pull = share * self.gammas[zone]
            slope = pull + (self.heights[i + 1] - self.heights[i]) / (stop - start)
            z = (slope / (2 * price)).clamp(start, stop)
            value = self.heights[i] + slope * (z - start) + pull * start - price * z.square()
            if self.most is not None:
                level = (self.gammas[zone] / (2 * m)).clamp(start, stop)
                value = torch.minimum(value, self.most + level * (pull - price * level))
            # Whatever is spent, the linear part alone falls by no more than without the excess.
            value = torch.minimum(value, alone + self.heights[i + 1])
            where = torch.where(value > best, z, where)
            best = torch.maximum(best, value)
        used = share * (where.square() - unmoved.square())
        return (best - alone).flatten(2).sum(2), used.flatten(2).sum(2)


def _between(knots: Sequence[float], known: Sequence[float], heights: Tensor) -> Tensor:
    """Heights at `knots` on the chords between those at the `known` ones, which are among them."""
    parts = []
    for knot in knots:
        after = next(i for i, budget in enumerate(known) if budget >= knot)
        if known[after] == knot:
            parts.append(heights[after])
            continue
        share = (knot - known[after - 1]) / (known[after] - known[after - 1])
        parts.append((1 - share) * heights[after - 1] + share * heights[after])
    return torch.stack(parts)
