"""Backward linear bounds of a whole network over a region (CROWN / LiRPA; engine contract, section 6).

The network is walked once from the clip to the logits. Every value gets an interval from interval arithmetic; values that
a relaxation depends on are bounded again by pulling each of their neurons back to the clip as a linear functional, and
the better of both is kept. In the end the margins are pulled back the same way.
"""

import copy
import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from verification.engine.bounds.region import Region
from verification.engine.network.graph import Graph
from verification.engine.network.operations.base import Pulled, Site
from verification.engine.network.operations.convolution import Convolution
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.pooled_convolution import PooledConvolution
from verification.engine.relaxation import Form, Interval

#: Where more of a value's elements than this want linear bounds, all get them: channels then share their windows.
_MOST = 0.5
#: As many elements of functionals of one place on average make it worth while to batch them place by place.
_SHARED = 1 << 14


def _never() -> None:
    """The default of `check`: nobody asks to stop."""


class LinearBounds:
    """Bounds of `graph` over `region`, in the region's arithmetic.

    `graph` must have been cast to that arithmetic. `check` is called between pieces of work and may raise `Stopped`.
    `memory` bounds the elements of one batch of functionals at the clip; more are bounded in several batches.
    `effort` bounds the elements of all functionals together: where it is spent, from the clip on, the rest is left to
    interval arithmetic, and `complete` is False.
    """

    def __init__(
        self,
        graph: Graph,
        region: Region,
        check: Callable[[], None] = _never,
        memory: int = 1 << 21,
        effort: int | None = None,
    ) -> None:
        self.graph, self.region, self.rounding = graph, region, region.rounding
        self.check, self.memory, self.effort = check, memory, effort
        self.spent, self.complete = 0, True
        self.boxes: list[Interval] = [region.interval()]
        self.sites: list[Site] = []
        self._readers = _readers(graph)
        self._pooled = _pooled(graph)
        wanted = _wanted(graph)
        for number, node in enumerate(graph.nodes, start=1):
            inputs = tuple(self.boxes[i] for i in node.inputs)
            shapes = tuple(graph.shape_of(i) for i in node.inputs)
            self.sites.append(Site(shapes, inputs, self.rounding))
            box = node.operation.interval(self.rounding, *inputs).widened(self.rounding.underflow)
            self._inquire(number, box)
            self.boxes.append(box)
            if wanted[number] and not node.operation.exact_interval:
                self.boxes[number] = self._refined(number, box, wanted)

    def _inquire(self, number: int, box: Interval) -> None:
        """Answer what the operation of value `number` asks about its input."""
        operation, site = self.graph.nodes[number - 1].operation, self.sites[number - 1]
        inquiry = operation.inquire(site, self._idle(number, box))
        form = next(inquiry, None)
        while form is not None:
            try:
                form = inquiry.send(self._in_batches(self.graph.nodes[number - 1].inputs[0], form))
            except StopIteration:
                form = None

    def _idle(self, number: int, box: Interval) -> Tensor:
        """The elements of a value on which nothing depends."""
        readers = self._readers[number]
        idle = torch.full(box.lower.shape, bool(readers), device=self._device)
        for reader in readers:
            idle &= self.graph.nodes[reader - 1].operation.ignored(box)
        return idle

    def _refined(self, number: int, box: Interval, wanted: list[bool]) -> Interval:
        """`box` with linear bounds of those elements whose readers gain from them."""
        undecided = torch.zeros(box.lower.shape, dtype=torch.bool, device=self._device)
        for reader in self._readers[number]:
            operation = self.graph.nodes[reader - 1].operation
            if operation.relaxes:
                undecided |= operation.undecided(box)
            elif wanted[reader] and operation.exact_interval:
                undecided[...] = True
        count = int(undecided.sum())
        if count == 0:
            return box
        if count > _MOST * undecided.numel():
            return box.intersect(self._neurons(number))
        # Ordered by place, channels last: neurons of one place share what they are pulled through.
        channel = self.graph.nodes[number - 1].operation.channel_axis(self.graph.shape_of(number))
        at = undecided.movedim(channel, -1).nonzero().cpu()
        at = torch.cat([at[:, :channel], at[:, -1:], at[:, channel:-1]], 1)
        form = Form.units(self.graph.shape_of(number), at, self.rounding.dtype, self._device)
        bounds = self._in_batches(number, form.with_negative())
        place = tuple(at.to(self._device).T)
        part = Interval(box.lower[place], box.upper[place]).intersect(Interval(bounds[:, 0], -bounds[:, 1]))
        lower, upper = box.lower.clone(), box.upper.clone()
        lower[place], upper[place] = part.lower, part.upper
        return Interval(lower, upper)

    def within(self, region: Region) -> Self:
        """The same relaxations over a part of the region: sound, and cheap, because nothing is bounded again."""
        inner = copy.copy(self)
        inner.region = region
        return inner

    def margins(self, label: int) -> Tensor:
        """(C - 1,): lower bounds of `N(v, label) - N(v, c)` for every other class c, in the order of the classes."""
        form = Form(
            self.margin_rows(label).unsqueeze(0), torch.zeros((1, 2), dtype=torch.int64), self.graph.output_shape
        )
        return self.lower(len(self.graph.nodes), form)[0]

    def margin_rows(self, label: int) -> Tensor:
        """(C - 1, 1, C): the margins as functionals of the logits."""
        classes = self.graph.output_shape[1]
        rows = torch.eye(classes, dtype=self.rounding.dtype, device=self._device)
        others = [c for c in range(classes) if c != label]
        return (rows[label] - rows[others]).unsqueeze(1)

    @property
    def _device(self) -> torch.device:
        return self.boxes[0].lower.device

    def _neurons(self, number: int) -> Interval:
        """Linear lower and upper bounds of every element of one value."""
        shape = self.graph.shape_of(number)
        channel = self.graph.nodes[number - 1].operation.channel_axis(shape)
        form = Form.identity(shape, channel, self.rounding.dtype, self._device)
        bounds = self._in_batches(number, form.with_negative())  # (P, 2 K)
        count = shape[channel]
        rest = [size for axis, size in enumerate(shape) if axis != channel]
        lower, upper = (
            part.reshape(*rest, count).movedim(-1, channel) for part in (bounds[:, :count], -bounds[:, count:])
        )
        return Interval(lower, upper)

    def _in_batches(self, number: int, form: Form) -> Tensor:
        """`lower` for many functionals, no more of them at a time than `memory` allows; (P, K).

        Minus infinity, which is always true, where they would cost more than is left of `effort`.
        """
        count = form.coefficients.shape[1]
        left = math.inf if self.effort is None else self.effort - self.spent
        cost = self._cost(number, form) if left > 0 else 0
        self.spent += cost * count * form.positions
        if left <= 0 or cost * count * form.positions > left:
            self.complete = False
            return form.coefficients.new_full((form.positions, count), -torch.inf)
        positions = max(1, self.memory // (cost * count))
        channels = max(1, min(count, self.memory // cost))
        batches = []
        for start, stop in _spans(form, positions, cost * count):
            rows = form.rows(start, stop)
            parts = [self.lower(number, rows.like(part)) for part in rows.coefficients.split(channels, 1)]
            batches.append(torch.cat(parts, 1))
        return torch.cat(batches)

    def _cost(self, number: int, form: Form) -> int:
        """The elements of the largest form on the way of one functional to the clip, found on the one in the middle."""
        row = form.rows(form.positions // 2, form.positions // 2 + 1)
        elements = [row.coefficients[0, 0].numel()]
        functionals = form.positions * form.coefficients.shape[1]
        self._pull(number, row.like(row.coefficients[:, :1]), functionals, elements.append)
        return max(elements)

    def lower(self, number: int, form: Form) -> Tensor:
        """(P, K): lower bounds of the functionals `form` of value `number` over the region."""
        functionals = form.positions * form.coefficients.shape[1]
        inner, constant = self._pull(number, form, functionals, lambda _: None)
        return constant if inner is None else self.region.minimum(inner) + constant

    def _pull(
        self, number: int, form: Form, functionals: int, seen: Callable[[int], None]
    ) -> tuple[Form | None, Tensor]:
        """The functionals rewritten in the clip, and their constants.

        `functionals`: how many are going to be pulled this way. `seen` hears the elements of every form on the way.
        """
        pending = {number: form}
        constant = form.coefficients.new_zeros((form.positions, form.coefficients.shape[1]))
        size, added = constant, 0
        for current in range(number, 0, -1):
            arrived = pending.pop(current, None)
            if arrived is None:
                continue
            self.check()
            pulled, values = self._step(current, arrived, functionals)
            if pulled.constant is not None:
                constant, size, added = constant + pulled.constant, size + pulled.constant.abs(), added + 1
            for value, part in zip(values, pulled.forms, strict=True):
                if part is None:
                    continue
                seen(part.coefficients[0, 0].numel())
                if value in pending:
                    part = pending[value] + part
                    margin = self._sum_margin(value, part)
                    constant, size, added = constant - margin, size + margin, added + 1
                pending[value] = part
        return pending.get(0), constant - self.rounding.gamma(added) * size - self.rounding.underflow

    def _step(self, number: int, form: Form, functionals: int) -> tuple[Pulled, tuple[int, ...]]:
        """Functionals of one value in terms of others, and which these are."""
        node = self.graph.nodes[number - 1]
        pooled = self._pooled.get(number)
        if pooled is None or not pooled.pays(form, functionals, self.sites[number - 1]):
            return node.operation.backward(form, self.sites[number - 1]), node.inputs
        (source,) = node.inputs
        pulled = pooled.backward(form, self.sites[number - 1], self.sites[source - 1])
        return pulled, self.graph.nodes[source - 1].inputs

    def _sum_margin(self, value: int, form: Form) -> Tensor | float:
        """What rounding may have lost when two functionals of the same value were added up."""
        if not self.rounding.rigorous:
            return 0.0
        size = self.boxes[value].magnitude.unsqueeze(0)
        return self.rounding.gamma(1) * form.like(form.coefficients.abs()).contract(form.values(size)[:, 0])


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


def _readers(graph: Graph) -> list[list[int]]:
    """For every value the numbers of the nodes that read it."""
    readers: list[list[int]] = [[] for _ in range(len(graph.nodes) + 1)]
    for number, node in enumerate(graph.nodes, start=1):
        for value in node.inputs:
            readers[value].append(number)
    return readers


def _pooled(graph: Graph) -> dict[int, PooledConvolution]:
    """The max-poolings, by the number of their value, that can be pulled back together with the convolution before them."""
    found = {}
    for number, node in enumerate(graph.nodes, start=1):
        before = graph.nodes[node.inputs[0] - 1].operation if node.inputs and node.inputs[0] else None
        if isinstance(node.operation, MaxPool) and isinstance(before, Convolution):
            pooled = PooledConvolution.build(node.operation, before)
            if pooled is not None:
                found[number] = pooled
    return found


def _wanted(graph: Graph) -> list[bool]:
    """Which values reach a relaxation through nothing but exact interval rules: tight intervals of them pay."""
    wanted = [False] * (len(graph.nodes) + 1)
    for number in range(len(graph.nodes), 0, -1):
        node = graph.nodes[number - 1]
        passes_on = wanted[number] and node.operation.exact_interval and not node.operation.relaxes
        for value in node.inputs:
            wanted[value] = wanted[value] or node.operation.relaxes or passes_on
    return wanted
