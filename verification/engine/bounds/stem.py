"""The affine beginning of a graph: what the clip is turned into before anything else happens to it."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.bounds.dependence import readers_of
from verification.engine.network.graph import Graph
from verification.engine.network.operations.base import Site
from verification.engine.relaxation import Enclosure, Rounding


@dataclass(frozen=True)
class Stem:
    """`numbers`: the values of `graph` that are affine functions of the clip, which is the first of them."""

    graph: Graph
    numbers: frozenset[int]

    @classmethod
    def of(cls, graph: Graph) -> "Stem":
        """The stem of a graph."""
        numbers = {0}
        for number, node in enumerate(graph.nodes, start=1):
            if node.inputs and node.operation.linear_part() is not None and numbers.issuperset(node.inputs):
                numbers.add(number)
        return cls(graph, frozenset(numbers))

    @cached_property
    def anchors(self) -> frozenset[int]:
        """The values that are read by what comes behind the stem, and the logits if nothing does."""
        readers, last = readers_of(self.graph), len(self.graph.nodes)
        return frozenset(
            value for value in self.numbers if value == last or not self.numbers.issuperset(readers[value])
        )

    def enclosures(self, clip: Enclosure, rounding: Rounding) -> dict[int, Enclosure]:
        """Those of the anchors, from that of the clip."""
        known = {0: clip}
        for number in sorted(self.numbers - {0}):
            node = self.graph.nodes[number - 1]
            inputs = [known[value] for value in node.inputs]
            shapes = tuple(self.graph.shape_of(value) for value in node.inputs)
            site = Site(shapes, tuple(x.interval(rounding) for x in inputs), rounding)
            known[number] = node.operation.enclose(inputs, site)
        return {number: known[number] for number in self.anchors}

    def changes(self, clips: Tensor) -> dict[int, Tensor]:
        """What changes of the clip (N, 1, l, 3, h, w) change of the anchors: (N, *shape) each."""
        known = {0: clips}
        for number in sorted(self.numbers - {0}):
            node = self.graph.nodes[number - 1]
            part = node.operation.linear_part()
            assert part is not None
            known[number] = torch.vmap(part.concrete)(*(known[value] for value in node.inputs))
        return {number: known[number] for number in self.anchors}
