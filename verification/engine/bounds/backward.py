"""Linear functionals of one value of a graph, rewritten in values before it (CROWN / LiRPA; engine contract, section 6)."""

from collections.abc import Callable

import torch
from torch import Tensor

from verification.engine.network.graph import Graph
from verification.engine.network.operations.base import Pulled, Site
from verification.engine.relaxation import Form, Interval, Rounding


def _ignore(_: object, __: Form) -> None:
    """The default of what hears of forms on their way."""


class Backward:
    """What is known of the values of `graph` over a region, and how that carries functionals back.

    `boxes`: the range of every value, the clip's first. `sites`: where every node stands. `anchors`: the values at which
    functionals are left; the clip, if no others come before it. `check` is called between pieces of work and may raise `Stopped`.
    """

    def __init__(
        self, graph: Graph, rounding: Rounding, check: Callable[[], None], anchors: frozenset[int] = frozenset()
    ) -> None:
        self.graph, self.rounding, self.check, self.anchors = graph, rounding, check, anchors
        self.boxes: list[Interval] = []
        self.sites: list[Site] = []

    def margin_rows(self, label: int) -> Tensor:
        """(C - 1, 1, C): the margins `N(v, label) - N(v, c)` as functionals of the logits, c in the order of the classes."""
        classes = self.graph.output_shape[1]
        rows = torch.eye(classes, dtype=self.rounding.dtype, device=self._device)
        others = [c for c in range(classes) if c != label]
        return (rows[label] - rows[others]).unsqueeze(1)

    @property
    def _device(self) -> torch.device:
        return self.boxes[0].lower.device

    def _of_logits(self, rows: Tensor) -> Form:
        return Form(rows.unsqueeze(0), torch.zeros((1, 2), dtype=torch.int64), self.graph.output_shape)

    def _pull(
        self,
        number: int,
        form: Form,
        functionals: int,
        arrives: Callable[[int, Form], None] = _ignore,
        leaves: Callable[[int, Form], None] = _ignore,
        anchors: frozenset[int] | None = None,
    ) -> tuple[dict[int, Form], Tensor]:
        """The functionals `form` of value `number` in terms of the anchors and the clip, and their constants (P, K).

        `functionals`: how many are going to be pulled this way. `arrives` hears of every form before it is pulled through the
        node of its value, `leaves` of every part that comes out, with the value that it is of. `anchors`: others than usual.
        """
        stops = self.anchors if anchors is None else anchors
        pending = {number: form}
        constant = form.coefficients.new_zeros((form.positions, form.coefficients.shape[1]))
        size, added = constant, 0
        for current in range(number, 0, -1):
            if current not in pending or current in stops:
                continue
            arrived = pending.pop(current)
            self.check()
            arrives(current, arrived)
            pulled, values = self._step(current, arrived, functionals)
            if pulled.constant is not None:
                constant, size, added = constant + pulled.constant, size + pulled.constant.abs(), added + 1
            for value, part in zip(values, pulled.forms, strict=True):
                if part is None:
                    continue
                leaves(value, part)
                if value in pending:
                    part = pending[value] + part
                    margin = self._sum_margin(value, part)
                    constant, size, added = constant - margin, size + margin, added + 1
                pending[value] = part
        return pending, constant - self.rounding.gamma(added) * size - self.rounding.underflow

    def _step(self, number: int, form: Form, functionals: int) -> tuple[Pulled, tuple[int, ...]]:
        """Functionals of one value in terms of others, and which these are."""
        node = self.graph.nodes[number - 1]
        return node.operation.backward(form, self.sites[number - 1]), node.inputs

    def _sum_margin(self, value: int, form: Form) -> Tensor | float:
        """What rounding may have lost when two functionals of the same value were added up."""
        if not self.rounding.rigorous:
            return 0.0
        size = self.boxes[value].magnitude.unsqueeze(0)
        return self.rounding.gamma(1) * form.like(form.coefficients.abs()).contract(form.values(size)[:, 0])
