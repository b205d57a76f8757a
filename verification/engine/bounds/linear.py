"""Backward linear bounds of a whole network over a region (CROWN / LiRPA; engine contract, section 6).

The network is walked once from the clip to the logits. Every value gets an interval from interval arithmetic; values that
a relaxation depends on are bounded again by pulling each of their neurons back to the clip as a linear functional, and
the better of both is kept. In the end the margins are pulled back the same way.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor

from verification.engine.bounds.backward import Backward
from verification.engine.bounds.dependence import pooled_of, readers_of, wanted_of
from verification.engine.bounds.joint import Excess, joined
from verification.engine.bounds.places import CROWD, Place, Places, places_of
from verification.engine.bounds.region import Region
from verification.engine.network.graph import Graph
from verification.engine.network.operations.base import Allowance, Pulled, Site
from verification.engine.relaxation import Cone, Form, Interval

#: Where more of a value's elements than this want linear bounds, all get them: channels then share their windows.
_MOST = 0.5
#: As many elements of functionals of one place on average make it worth while to batch them place by place.
_SHARED = 1 << 14
#: The share of the radius that planes near the clip are chosen for, times the root of the number of places that do not overlap.
_AIM = 6.0
#: Of the radius: at these it is known how far values can exceed their planes. More than the radius is spent where a part
#: alone is counted of what several places see: at most the root of `CROWD` times as much, or heights would end too early.
_SHARES = (1 / 6, 1 / 3, 1 / 2, 1.0, 2.0, CROWD**0.5)

#: How many tensors of every value's size are kept where cones are, those for the way there counted.
_CONED = 16
#: How many of one value's size are needed to bound its elements, besides the functionals.
_ASKED = 16
#: How many of the size of a batch of functionals are needed to pull it back.
_PASSING = 32


def _never() -> None:
    """The default of `check`: nobody asks to stop."""


class LinearBounds(Backward):
    """Bounds of `graph` over `region`, in the region's arithmetic.

    `graph` must have been cast to that arithmetic. `check` is called between pieces of work and may raise `Stopped`.
    `memory` bounds the elements of one batch of functionals at the clip; more are bounded in several batches. `room`, in bytes,
    bounds what is kept besides the values' intervals, and if need be the batches: what finds no room is computed whenever it is
    needed, and cones are only kept where there is room for all of them.
    `effort` bounds the elements of all functionals together: where it is spent, from the clip on, the rest is left to
    interval arithmetic, and `complete` is False. The same goes for functionals that see more than the share `widest` of the clip.
    What lacks room does not count there: it would lack it the next time as well.
    `places`: what is known of the values' places, from other regions of the same
    graph; it is added to.
    """

    def __init__(
        self,
        graph: Graph,
        region: Region,
        check: Callable[[], None] = _never,
        memory: int = 1 << 21,
        room: float = math.inf,
        effort: int | None = None,
        widest: float = 1.0,
        places: dict[int, Places | None] | None = None,
    ) -> None:
        super().__init__(graph, region.rounding, check)
        self.region = region
        self.item = item = torch.finfo(self.rounding.dtype).bits // 8
        self.effort, self.room = effort, room
        self.memory = int(min(memory, max(room / (_PASSING * item), 1)))
        self.allowance = Allowance(room)
        self.radius = region.radius
        self.spent, self.complete = 0, effort != 0
        self._largest = math.inf if widest >= 1 else widest * math.prod(graph.input_shape)
        self.boxes.append(region.interval())
        size = sum(graph.elements_of(value) for value in range(len(graph.nodes) + 1))
        # Nothing comes of cones where no functional is going to be bounded.
        coned = effort != 0 and _CONED * item * size <= room
        self.cones: list[Cone | None] = [region.cone() if coned else None]
        self._places: dict[int, Places] = {}
        self._seen = {} if places is None else places
        self._readers = readers_of(graph)
        self._pooled = pooled_of(graph)
        wanted = wanted_of(graph)
        for number, node in enumerate(graph.nodes, start=1):
            inputs = tuple(self.boxes[i] for i in node.inputs)
            shapes = tuple(graph.shape_of(i) for i in node.inputs)
            cones = [self.cones[i] for i in node.inputs]
            known = None if None in cones else tuple(cone for cone in cones if cone is not None)
            self.sites.append(Site(shapes, inputs, self.rounding, allowance=self.allowance, cones=known))
            self._touch(number)
            box = node.operation.interval(self.rounding, *inputs).widened(self.rounding.underflow)
            self._inquire(number, box)
            self._keep(number, box)
            if wanted[number] and not node.operation.exact_interval:
                self._refine(number, box, wanted)

    def _touch(self, number: int) -> None:
        """Decide whether the relaxation of node `number` is to go through its value at the clip."""
        operation, site = self.graph.nodes[number - 1].operation, self.sites[number - 1]
        if not operation.relaxes or site.cones is None:
            return
        footprint = operation.footprint(site)
        if footprint is None:
            return
        if number not in self._seen:
            self._seen[number] = self._views(number, footprint)
        places = self._seen[number]
        if places is not None and places.many:
            # A value of the same places as one before shares its object, so that their excesses can be put together.
            known = [other for other in self._places.values() if other.sees_like(places)]
            self._places[number], site.touches = (known or [places])[0], True
            # What several places see is divided between the places of a value: of other places it is another part.
            if self._places.get(self.graph.nodes[number - 1].inputs[0]) is not self._places[number]:
                site.cones = tuple(replace(cone, wide=None) for cone in site.cones)
            site.stretch, site.aim = self.region.stretch(places.overlap), min(1.0, _AIM * places.crowding**0.5)

    def _place(self, number: int, index: Tensor) -> Place | None:
        """The places of the elements `index` (P, rank) of a value; None where its planes do not touch."""
        places = self._places.get(number)
        return None if places is None else Place(places, index[:, list(places.axes)])

    def _keep(self, number: int, box: Interval) -> None:
        """Record the interval of a value, and its cone as far as its relaxations touch."""
        operation, site = self.graph.nodes[number - 1].operation, self.sites[number - 1]
        cone = operation.cone(site) if site.touches or not operation.relaxes else None
        if site.touches:
            site.excess = operation.excess(site, _SHARES)
        self.cones.append(cone)
        self.boxes.append(box if cone is None else box.intersect(cone.base))
        self.allowance.charge(self.boxes[-1].lower, self.boxes[-1].upper)

    def _views(self, number: int, footprint: Form) -> Places | None:
        """Which pixels each place of value `number` sees, by pulling back what it depends on."""
        (source,) = self.graph.nodes[number - 1].inputs
        height, width = self.graph.shape_of(0)[3:]
        views = []
        cost = self._cost(source, footprint)
        for start, stop in _spans(footprint, max(1, self.memory // cost), cost):
            rows = footprint.rows(start, stop)
            inner = self._pull(source, rows, rows.positions)[0].get(0)
            if inner is None:
                views.append(torch.zeros((rows.positions, 4), dtype=torch.int64))
                continue
            first = inner.offsets[:, 3:5]
            views.append(torch.cat([first, first + torch.tensor(inner.window[3:5])], 1))
        shape = self.graph.shape_of(number)
        channel = self.graph.nodes[number - 1].operation.channel_axis(shape)
        axes = tuple(axis for axis in range(len(shape)) if axis != channel)
        return places_of(torch.cat(views).view(*(shape[axis] for axis in axes), 4), axes, height, width)

    def _inquire(self, number: int, box: Interval) -> None:
        """Answer what the operation of value `number` asks about its input."""
        operation, site = self.graph.nodes[number - 1].operation, self.sites[number - 1]
        asks = all(self._asks(value) for value in self.graph.nodes[number - 1].inputs)
        inquiry = operation.inquire(site, self._idle(number, box) if asks else torch.ones_like(box.lower).bool())
        asked = next(inquiry, None)
        while asked is not None:
            try:
                form, outputs = asked
                place = self._place(number, outputs)
                asked = inquiry.send(self._in_batches(self.graph.nodes[number - 1].inputs[0], form, place))
            except StopIteration:
                asked = None

    def _asks(self, number: int) -> bool:
        """Whether elements of a value get linear bounds of their own: there must be the effort for it, and the room."""
        return self.effort != 0 and _ASKED * self.item * self.graph.elements_of(number) <= self.room

    def _idle(self, number: int, box: Interval) -> Tensor:
        """The elements of a value on which nothing depends."""
        readers = self._readers[number]
        idle = torch.full(box.lower.shape, bool(readers), device=self._device)
        for reader in readers:
            idle &= self.graph.nodes[reader - 1].operation.ignored(box)
        return idle

    def _refine(self, number: int, box: Interval, wanted: list[bool]) -> None:
        """Improve interval and cone of a value by linear bounds of those elements whose readers gain from them."""
        if not self._asks(number):
            return
        undecided = torch.zeros(box.lower.shape, dtype=torch.bool, device=self._device)
        for reader in self._readers[number]:
            operation = self.graph.nodes[reader - 1].operation
            if operation.relaxes:
                undecided |= operation.undecided(box)
            elif wanted[reader] and operation.exact_interval:
                undecided[...] = True
        count = int(undecided.sum())
        if count == 0:
            return
        if count > _MOST * undecided.numel():
            self._learn(number, self._neurons(number))
            return
        # Ordered by place, channels last: neurons of one place share what they are pulled through.
        channel = self.graph.nodes[number - 1].operation.channel_axis(self.graph.shape_of(number))
        at = undecided.movedim(channel, -1).nonzero().cpu()
        at = torch.cat([at[:, :channel], at[:, -1:], at[:, channel:-1]], 1)
        form = Form.units(self.graph.shape_of(number), at, self.rounding.dtype, self._device)
        bounds = self._in_batches(number, form.with_negative(), self._place(number, at))
        index = tuple(at.to(self._device).T)
        ends = bounds.new_full((2, 3, *box.lower.shape), -torch.inf)
        ends[(slice(None), slice(None), *index)] = bounds.permute(1, 2, 0)
        self._learn(number, ends)

    def _learn(self, number: int, bounds: Tensor) -> None:
        """Take over bounds (2, 3, *shape): those of `lower` for the value and its negative."""
        apex, base, wide = (Interval(bounds[0, i], -bounds[1, i]) for i in range(3))
        self.boxes[number] = self.boxes[number].intersect(base)
        cone = self.cones[number]
        if cone is not None:
            if number in self._places:
                cone = replace(cone, wide=cone.stretched(self.sites[number - 1].stretch))
            self.cones[number] = cone.narrowed(Cone(apex, base, wide))

    def within(self, region: Region) -> Self:
        """The same relaxations over a part of the region: sound, and cheap, because nothing is bounded again."""
        inner = copy.copy(self)
        inner.region = region
        return inner

    def with_planes(self, planes: Mapping[int, Tensor]) -> Self:
        """The same bounds, but with other planes (`Elementwise.prepared`) for some of the nodes, by their number."""
        inner = copy.copy(self)
        inner.sites = [
            replace(site, memory=site.memory | {"planes": planes[number]}) if number in planes else site
            for number, site in enumerate(self.sites, start=1)
        ]
        return inner

    def margins(self, label: int) -> Tensor:
        """(C - 1,): lower bounds of `N(v, label) - N(v, c)` for every other class c, in the order of the classes."""
        return torch.cat([self.bound(rows) for rows in self.margin_batches(label)])

    def bound(self, rows: Tensor) -> Tensor:
        """(K,): lower bounds of the functionals `rows` (K, 1, C) of the logits."""
        return self.lower(len(self.graph.nodes), self._of_logits(rows))[0, :, 1]

    def elements(self, rows: Tensor) -> list[int]:
        """The sizes of all forms of the functionals `rows` (K, 1, C) of the logits on their way to the clip."""
        sizes: list[int] = []
        self._pull(
            len(self.graph.nodes),
            self._of_logits(rows[:1]),
            len(rows),
            leaves=lambda _, part: sizes.append(_size(part)),
        )
        return [size * len(rows) for size in sizes]

    def margin_batches(self, label: int) -> tuple[Tensor, ...]:
        """`margin_rows`, no more of them at a time than `memory` allows."""
        size = max(self.graph.elements_of(value) for value in range(len(self.boxes)))
        return self.margin_rows(label).split(max(1, self.memory // size))

    def _neurons(self, number: int) -> Tensor:
        """(2, 3, *shape): linear bounds of every element of one value (see `_learn`)."""
        shape = self.graph.shape_of(number)
        channel = self.graph.nodes[number - 1].operation.channel_axis(shape)
        form = Form.identity(shape, channel, self.rounding.dtype, self._device)
        bounds = self._in_batches(number, form.with_negative(), self._place(number, form.offsets))  # (P, 2 K, 3)
        count = shape[channel]
        rest = [size for axis, size in enumerate(shape) if axis != channel]
        return bounds.view(*rest, 2, count, 3).movedim((-3, -1, -2), (0, 1, channel + 2))

    def _in_batches(self, number: int, form: Form, place: Place | None = None) -> Tensor:
        """`lower` for many functionals, no more of them at a time than `memory` allows; (P, K, 3).

        Minus infinity, which is always true, where they would cost more than is left of `effort`.
        """
        count = form.coefficients.shape[1]
        left = math.inf if self.effort is None else self.effort - self.spent
        cost = self._cost(number, form) if left > 0 else 0
        too_wide = cost > self._largest
        self.spent += 0 if too_wide else cost * count * form.positions
        if left <= 0 or too_wide or cost * count * form.positions > left:
            self.complete = False
            return form.coefficients.new_full((form.positions, count, 3), -torch.inf)
        positions = max(1, self.memory // (cost * count))
        channels = max(1, min(count, self.memory // cost))
        batches = []
        for start, stop in _spans(form, positions, cost * count):
            rows = form.rows(start, stop)
            own = None if place is None else Place(place.places, place.index[start:stop])
            parts = [self.lower(number, rows.like(part), own) for part in rows.coefficients.split(channels, 1)]
            batches.append(torch.cat(parts, 1))
        return torch.cat(batches)

    def _cost(self, number: int, form: Form) -> int:
        """The elements of the largest form on the way of one functional to the clip, found on the one in the middle."""
        row = form.rows(form.positions // 2, form.positions // 2 + 1)
        elements = [_size(row)]
        functionals = form.positions * form.coefficients.shape[1]
        one = row.like(row.coefficients[:, :1])
        self._pull(number, one, functionals, leaves=lambda _, part: elements.append(_size(part)))
        return max(elements)

    def lower(self, number: int, form: Form, place: Place | None = None) -> Tensor:
        """(P, K, 3): lower bounds of the functionals `form` of value `number` as in `Region.minima`.

        Those over the region always hold, the others mean something where the value has a cone, the last with `place`.
        """
        functionals = form.positions * form.coefficients.shape[1]
        excesses: list[Excess] = []

        def arrives(value: int, arrived: Form) -> None:
            nonlocal excesses
            excesses = joined(excesses, self._excess(value, arrived))

        forms, constant = self._pull(number, form, functionals, arrives)
        if 0 not in forms:
            return constant.unsqueeze(-1).expand(-1, -1, 3)
        return self.region.minima(forms[0], excesses, self._budgets, place) + constant.unsqueeze(-1)

    @property
    def _budgets(self) -> list[float]:
        return [share * self.radius for share in _SHARES]

    def _excess(self, number: int, form: Form) -> Excess | None:
        """By how much the functionals can fall because value `number` exceeds its planes."""
        site = self.sites[number - 1]
        if site.excess is None:
            return None
        places = self._places[number]
        order = [axis for axis in range(len(form.shape)) if axis not in places.axes] + list(places.axes)

        def arranged(x: Tensor) -> Tensor:
            """(P, K, all other axes, rows, columns)"""
            return x.permute(0, 1, *(axis + 2 for axis in order)).flatten(2, -3)

        falls, most = arranged(form.coefficients.clamp(max=0).neg()), arranged(form.values(site.excess))
        heights = torch.einsum("nkcyx,nzcyx->znkyx", falls, most)
        heights = heights * (1 + self.rounding.gamma(falls.shape[2]))
        return Excess(places, heights[:-1], heights[-1], form.offsets[:, list(places.axes)])

    def _step(self, number: int, form: Form, functionals: int) -> tuple[Pulled, tuple[int, ...]]:
        """A max-pooling and the convolution before it may be pulled through together."""
        node = self.graph.nodes[number - 1]
        pooled = self._pooled.get(number)
        if pooled is None or not pooled.pays(form, functionals, self.sites[number - 1]):
            return super()._step(number, form, functionals)
        (source,) = node.inputs
        pulled = pooled.backward(form, self.sites[number - 1], self.sites[source - 1])
        return pulled, self.graph.nodes[source - 1].inputs


def _size(form: Form) -> int:
    """The elements of one of its functionals."""
    return form.coefficients[0, 0].numel()


def _spans(form: Form, positions: int, cost: int) -> list[tuple[int, int]]:
    """Batches of at most so many positions, each of `cost` elements.

    Where many of them follow each other that differ in the channel alone, no batch reaches across places.
    Windows of one batch then share their place once the channels are summed over, which makes them much cheaper.
    """
    places = form.offsets.clone()
    places[:, min(1, places.shape[1] - 1)] = 0
    ends = [*((places.diff(dim=0) != 0).any(1).nonzero()[:, 0] + 1).tolist(), form.positions]
    if len(ends) * _SHARED > form.positions * cost:
        ends = [form.positions]
    spans, start = [], 0
    for end in ends:
        while start < end:
            spans.append((start, min(start + positions, end)))
            start = spans[-1][1]
    return spans
