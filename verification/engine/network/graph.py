"""The classifier as a graph of operations, each of which can be computed and bounded."""

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from verification.engine.network.operations.base import Operation, Shape


@dataclass(frozen=True)
class Node:
    """One operation with the indices of its inputs; index 0 is the clip itself. `place` says where in the model it stands."""

    operation: Operation
    inputs: tuple[int, ...]
    shape: Shape
    name: str
    place: str


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order: node i computes value i + 1, value 0 is the clip (1, l, 3, h, w), the last the logits (1, C).

    Its constants are float64; `cast` gives the same graph in another precision or on another device.
    `dropped` names operations at the end of the network that the graph leaves out, such as "softmax in head.2", for people
    to see: they change neither the order of the classes nor, therefore, the sign of any margin.
    """

    input_shape: Shape
    nodes: tuple[Node, ...]
    dropped: tuple[str, ...] = ()

    @property
    def output_shape(self) -> Shape:
        return self.nodes[-1].shape

    def shape_of(self, value: int) -> Shape:
        return self.input_shape if value == 0 else self.nodes[value - 1].shape

    def elements_of(self, value: int) -> int:
        return math.prod(self.shape_of(value))

    def __call__(self, clip: Tensor) -> Tensor:
        """The logits (1, C) of `clip` (1, l, 3, h, w); differentiable. The graph must have been cast to the clip's dtype."""
        values: list[Tensor | None] = [clip]
        last_use = self.last_use()
        for number, node in enumerate(self.nodes, start=1):
            inputs = [values[i] for i in node.inputs]
            values.append(node.operation.concrete(*(x for x in inputs if x is not None)))
            for i in node.inputs:
                if last_use[i] == number:
                    values[i] = None
        result = values[-1]
        assert result is not None
        return result

    def last_use(self) -> list[int]:
        """For every value the number of the last node that reads it (0: none)."""
        last = [0] * (len(self.nodes) + 1)
        for number, node in enumerate(self.nodes, start=1):
            for i in node.inputs:
                last[i] = number
        return last

    def cast(self, dtype: torch.dtype, device: torch.device) -> Self:
        nodes = tuple(replace(n, operation=n.operation.cast(dtype, device)) for n in self.nodes)
        return replace(self, nodes=nodes)
