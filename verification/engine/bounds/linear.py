"""Backward linear bounds of a whole network over a region (CROWN / LiRPA; engine contract, section 6).

The network is walked once from the clip to the logits. Every value gets an interval from interval arithmetic; values that
a relaxation depends on are bounded again by pulling each of their neurons back to the clip as a linear functional, and
the better of both is kept. In the end the margins are pulled back the same way.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from verification.engine.bounds.region import Region
from verification.engine.network.graph import Graph
from verification.engine.network.operations.base import Site
from verification.engine.relaxation import Form, Interval


def _never() -> None:
    """The default of `check`: nobody asks to stop."""


class LinearBounds:
    """Bounds of `graph` over `region`, in the region's arithmetic.

    `graph` must have been cast to that arithmetic. `check` is called between pieces of work and may raise `Stopped`.
    `memory` bounds the elements of one batch of functionals at the clip; more are bounded in several batches.
    """

    def __init__(self, graph: Graph, region: Region, check: Callable[[], None] = _never, memory: int = 1 << 21) -> None:
        self.graph, self.region, self.rounding = graph, region, region.rounding
        self.check, self.memory = check, memory
        self.boxes: list[Interval] = [region.interval()]
        self.sites: list[Site] = []
        needed = _needed(graph)
        for number, node in enumerate(graph.nodes, start=1):
            inputs = tuple(self.boxes[i] for i in node.inputs)
            shapes = tuple(graph.shape_of(i) for i in node.inputs)
            self.sites.append(Site(shapes, inputs, self.rounding))
            box = node.operation.interval(self.rounding, *inputs).widened(self.rounding.underflow)
            self.boxes.append(box)
            if needed[number]:
                self.boxes[number] = box.intersect(self._neurons(number))

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
        """`lower` for many functionals, with no more of them at a time than `memory` allows; (P, K)."""
        count = form.coefficients.shape[1]
        cost = self._cost(number, form)
        positions = max(1, self.memory // (cost * count))
        channels = max(1, min(count, self.memory // cost))
        batches = []
        for start in range(0, form.positions, positions):
            rows = form.rows(start, start + positions)
            parts = [self.lower(number, rows.like(part)) for part in rows.coefficients.split(channels, 1)]
            batches.append(torch.cat(parts, 1))
        return torch.cat(batches)

    def _cost(self, number: int, form: Form) -> int:
        """The elements of the largest form on the way of one functional to the clip, found on the one in the middle."""
        row = form.rows(form.positions // 2, form.positions // 2 + 1)
        elements = [row.coefficients[0, 0].numel()]
        self._pull(number, row.like(row.coefficients[:, :1]), elements.append)
        return max(elements)

    def lower(self, number: int, form: Form) -> Tensor:
        """(P, K): lower bounds of the functionals `form` of value `number` over the region."""
        inner, constant = self._pull(number, form, lambda _: None)
        return constant if inner is None else self.region.minimum(inner) + constant

    def _pull(self, number: int, form: Form, seen: Callable[[int], None]) -> tuple[Form | None, Tensor]:
        """The functionals rewritten in the clip, and their constants. `seen` hears the elements of every form on the way."""
        pending = {number: form}
        constant = form.coefficients.new_zeros((form.positions, form.coefficients.shape[1]))
        size, added = constant, 0
        for current in range(number, 0, -1):
            arrived = pending.pop(current, None)
            if arrived is None:
                continue
            self.check()
            node = self.graph.nodes[current - 1]
            pulled = node.operation.backward(arrived, self.sites[current - 1])
            if pulled.constant is not None:
                constant, size, added = constant + pulled.constant, size + pulled.constant.abs(), added + 1
            for value, part in zip(node.inputs, pulled.forms, strict=True):
                if part is None:
                    continue
                seen(part.coefficients[0, 0].numel())
                if value in pending:
                    part = pending[value] + part
                    margin = self._sum_margin(value, part)
                    constant, size, added = constant - margin, size + margin, added + 1
                pending[value] = part
        return pending.get(0), constant - self.rounding.gamma(added) * size - self.rounding.underflow

    def _sum_margin(self, value: int, form: Form) -> Tensor | float:
        """What rounding may have lost when two functionals of the same value were added up."""
        if not self.rounding.rigorous:
            return 0.0
        size = self.boxes[value].magnitude.unsqueeze(0)
        return self.rounding.gamma(1) * form.like(form.coefficients.abs()).contract(form.values(size)[:, 0])


def _needed(graph: Graph) -> list[bool]:
    """Which values deserve linear bounds: those that reach a relaxation through nothing but exact interval rules."""
    needed = [False] * (len(graph.nodes) + 1)
    wanted = [False] * (len(graph.nodes) + 1)
    for number in range(len(graph.nodes), 0, -1):
        node = graph.nodes[number - 1]
        needed[number] = wanted[number] and not node.operation.exact_interval
        passes_on = wanted[number] and node.operation.exact_interval and not node.operation.relaxes
        for value in node.inputs:
            wanted[value] = wanted[value] or node.operation.relaxes or passes_on
    return needed
