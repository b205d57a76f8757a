"""Bounds of a graph over a clip that depends on few parameters (docs/bounds.md, "Cells").

Every value is enclosed on the way from the anchors, the last values that are affine in the clip, to the logits: a linear function
of the parameters and an error. Of values that few neurons make up and that relaxations depend on, such as the gates of an
LSTM, every neuron can also be pulled back to the anchors, or to a waist. Where that tells more it is taken over.

Nothing here depends on numbers, only on shapes, so that `torch.vmap` bounds many regions at once.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from verification.engine.bounds.backward import Backward
from verification.engine.bounds.dependence import waists_of, wanted_of
from verification.engine.bounds.stem import Stem
from verification.engine.network.graph import Node
from verification.engine.network.operations.base import Site
from verification.engine.relaxation import Enclosure, Form, Interval, Rounding

#: Elements of a value's neurons as functionals of the values that they are pulled back to: more are not worth it.
_MOST = 1 << 22


#: And as functionals of a waist, one place after the other.
_MOST_OF_WAIST, _AT_ONCE = 1 << 28, 1 << 24
_FEW = 1 << 12  # neurons of a value that is pulled back to a waist

#: Of values whose neurons are all pulled back, to which values.
Refined = Mapping[int, frozenset[int]]


def refined_in(stem: Stem) -> Refined:
    """The values whose neurons can all be pulled back to the anchors, from the graph's shapes alone."""
    graph = stem.graph
    behind = sum(graph.elements_of(value) for value in stem.anchors)
    return {value: stem.anchors for value in _worthwhile(stem) if 2 * graph.elements_of(value) * behind <= _MOST}


def waisted_in(stem: Stem) -> Refined:
    """The same for networks whose anchors are too large: neurons are pulled back to a waist, a value that all paths go through.

    That of a value is the last waist that is pulled back itself, or else the first one that is small enough. What the
    convolutions between do to errors one by one is what makes enclosures of large networks wide (docs/distortions.md).
    """
    graph, found = stem.graph, dict[int, frozenset[int]]()
    waists = waists_of(graph, stem.anchors)
    for value in _worthwhile(stem):
        if graph.elements_of(value) > _FEW:
            continue
        most = _MOST_OF_WAIST // (2 * graph.elements_of(value))
        before = [waist for waist in waists[value] if waist not in stem.numbers]
        known = [waist for waist in before if waist in found]
        small = [waist for waist in before if graph.elements_of(waist) <= most]
        if known or small:
            found[value] = frozenset({max(known) if known else min(small)})
    return found


def _worthwhile(stem: Stem) -> list[int]:
    """The values behind the stem whose tighter intervals pay."""
    nodes = stem.graph.nodes
    return [
        value
        for value, wanted in enumerate(wanted_of(stem.graph))
        if wanted and value not in stem.numbers and not nodes[value - 1].operation.exact_interval
    ]


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
        refined: Refined,
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
                self._refine(number, refined[number])

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

    def _refine(self, number: int, back_to: frozenset[int]) -> None:
        """Pull every neuron of a value back, and take over what is better than its enclosure."""
        shape = self.graph.shape_of(number)
        channel = self.graph.nodes[number - 1].operation.channel_axis(shape)
        form = Form.identity(shape, channel, self.rounding.dtype, self._device).with_negative()
        width = form.coefficients.shape[1] * sum(self.graph.elements_of(value) for value in back_to)
        places = max(1, _AT_ONCE // width)
        parts = [
            self.below(number, form.rows(start, min(start + places, form.positions)), back_to)
            for start in range(0, form.positions, places)
        ]
        constants, slopes = (torch.cat(part) for part in zip(*parts, strict=True))
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

    def below(self, number: int, form: Form, back_to: frozenset[int] | None = None) -> tuple[Tensor, Tensor]:
        """Constants (P, K) and slopes (P, K, parameters) of linear lower bounds of the functionals `form` of one value.

        They are pulled back to the enclosures of the values `back_to`, None for the anchors.
        """
        count = form.coefficients.shape[1]
        forms, constants = self._pull(number, form, form.positions * count, anchors=back_to)
        size = constants.abs()
        slopes = constants.new_zeros((form.positions, count, self.parameters))
        for value, part in forms.items():
            constant, slope = self.enclosures[value].below(part, self.rounding)
            constants, slopes = constants + constant, slopes + slope
            size = size + constant.abs() + slope.abs().sum(-1)
        margin = self.rounding.gamma(len(forms) + 1) * size
        return (constants - margin).expand(slopes.shape[:2]), slopes
