"""Bounds of a graph over a clip that depends on few parameters (docs/bounds.md, "Cells").

Every value is enclosed on the way from the anchors, the last values that are affine in the clip, to the logits: a linear function
of the parameters and an error. Of values that few neurons make up and that relaxations depend on, such as the gates of an
LSTM, every neuron can also be pulled back to the anchors. Where that tells more it is taken over.

Nothing here depends on numbers, only on shapes, so that `torch.vmap` bounds many regions at once.
"""

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

from verification.engine.bounds.backward import Backward
from verification.engine.bounds.dependence import wanted_of
from verification.engine.bounds.stem import Stem
from verification.engine.network.graph import Node
from verification.engine.network.operations.base import Site
from verification.engine.relaxation import Enclosure, Form, Interval, Rounding

#: Elements of a value's neurons as functionals of the values that they are pulled back to: more are not worth it.
_MOST = 1 << 22


def refined_in(stem: Stem) -> frozenset[int]:
    """The values of a graph whose neurons are all pulled back to the anchors, from its shapes alone."""
    graph = stem.graph
    behind = sum(graph.elements_of(value) for value in stem.anchors)
    return frozenset(
        value
        for value, wanted in enumerate(wanted_of(graph))
        if wanted
        and value not in stem.numbers
        and not graph.nodes[value - 1].operation.exact_interval
        and 2 * graph.elements_of(value) * behind <= _MOST
    )


class EnclosedBounds(Backward):
    """Bounds of the stem's graph over clips for which `anchors` holds, in the arithmetic of `rounding`.

    The graph must have been cast to that arithmetic. `refined`: whose neurons are pulled back. `check` is called between
    pieces of work and may raise `Stopped`. `enclosures`: those of the anchors and of all values behind the stem.
    """

    def __init__(
        self,
        stem: Stem,
        anchors: Mapping[int, Enclosure],
        rounding: Rounding,
        refined: Collection[int],
        check: Callable[[], None],
    ) -> None:
        super().__init__(stem.graph, rounding, check, stem.anchors)
        self.enclosures = dict(anchors)
        self.parameters = len(next(iter(anchors.values())).slopes)
        self._anything = Interval(*next(iter(anchors.values())).centre.new_tensor([-torch.inf, torch.inf]))
        self.boxes.append(anchors[0].interval(rounding) if 0 in anchors else self._anything)
        for number, node in enumerate(self.graph.nodes, start=1):
            shapes = tuple(self.graph.shape_of(value) for value in node.inputs)
            site = Site(shapes, tuple(self.boxes[value] for value in node.inputs), rounding)
            self.sites.append(site)
            if number in stem.numbers:
                known = number in anchors
                self.boxes.append(anchors[number].interval(rounding) if known else self._anything)
                continue
            self._enclose(number, node, site)
            if number in refined:
                self._refine(number)

    @property
    def largest(self) -> Tensor:
        """The largest magnitude of any value; not a number where one is none."""
        boxes = (box for box in self.boxes if box is not self._anything)
        return torch.stack([box.magnitude.amax() for box in boxes]).amax()

    def _enclose(self, number: int, node: Node, site: Site) -> None:
        box = node.operation.interval(self.rounding, *site.boxes).widened(self.rounding.underflow)
        inputs = [self.enclosures[value] for value in node.inputs]
        found = Enclosure.of(box, self.parameters)
        if inputs:
            found = node.operation.enclose(inputs, site).or_less(found)
        self.enclosures[number] = found
        self.boxes.append(box.intersect(found.interval(self.rounding)))

    def _refine(self, number: int) -> None:
        """Pull every neuron of a value back, and take over what is better than its enclosure."""
        shape = self.graph.shape_of(number)
        channel = self.graph.nodes[number - 1].operation.channel_axis(shape)
        form = Form.identity(shape, channel, self.rounding.dtype, self._device).with_negative()
        constants, slopes = self.below(number, form)
        rest = [size for axis, size in enumerate(shape) if axis != channel]
        ends = torch.cat([constants.unsqueeze(-1), slopes], -1).view(*rest, 2, shape[channel], -1)
        lower, upper = ends.movedim((-3, -1, -2), (0, 1, channel + 2))  # (1 + parameters, *shape) each
        better = Enclosure.between((lower[0], lower[1:]), (-upper[0], -upper[1:]), self.rounding)
        self.enclosures[number] = self.enclosures[number].or_less(better)
        box = better.interval(self.rounding).intersect(self.enclosures[number].interval(self.rounding))
        self.boxes[number] = self.boxes[number].intersect(box)

    def margins(self, label: int) -> tuple[Tensor, Tensor]:
        """Constants (C - 1,) and slopes (C - 1, parameters): every margin is at least `constant + slopes . z`.

        In the order of the other classes, for all parameters z in [-1, 1]^parameters.
        """
        constants, slopes = self.below(len(self.graph.nodes), self._of_logits(self.margin_rows(label)))
        return constants[0], slopes[0]

    def below(self, number: int, form: Form) -> tuple[Tensor, Tensor]:
        """Constants (P, K) and slopes (P, K, parameters) of linear lower bounds of the functionals `form` of one value."""
        count = form.coefficients.shape[1]
        forms, constants = self._pull(number, form, form.positions * count)
        size = constants.abs()
        slopes = constants.new_zeros((form.positions, count, self.parameters))
        for value, part in forms.items():
            constant, slope = self.enclosures[value].below(part, self.rounding)
            constants, slopes = constants + constant, slopes + slope
            size = size + constant.abs() + slope.abs().sum(-1)
        margin = self.rounding.gamma(len(forms) + 1) * size
        return (constants - margin).expand(slopes.shape[:2]), slopes
