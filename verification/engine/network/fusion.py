"""Nodes that are bounded more tightly in another form: the gates of recurrent cells, and max-pooling of activations."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from verification.engine.network.graph import Node
from verification.engine.network.operations.gate import Gate
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.sigmoid import Sigmoid, Tanh


def fuse_gates(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The same function with every product that has a sigmoid for a factor made a `Gate`; nodes left over are dropped."""
    fused = list(nodes)
    for number, node in enumerate(nodes):
        if not isinstance(node.operation, Product):
            continue
        first, second = node.inputs
        if not _is(nodes, first, Sigmoid):
            first, second = second, first
        if _is(nodes, first, Sigmoid):
            squashed = _is(nodes, second, Tanh)
            inputs = (_source(nodes, first), _source(nodes, second) if squashed else second)
            fused[number] = replace(node, operation=Gate(squashed), inputs=inputs)
    return _without_unused(fused)


def pool_first(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The same function with ReLU after max-pooling: a monotone function commutes with the maximum, exactly.

    Then one neuron is relaxed in the place of a whole window, and whatever cannot win is never looked at. Padding never
    wins on either side.
    """
    swapped = list(nodes)
    readers = Counter(value for node in nodes for value in node.inputs)
    for number, node in enumerate(nodes):
        if not isinstance(node.operation, MaxPool):
            continue
        (source,) = node.inputs
        if source and readers[source] == 1 and isinstance((activation := nodes[source - 1]).operation, Relu):
            # The pool takes the activation's place, the activation that of the pool.
            swapped[source - 1] = replace(node, inputs=activation.inputs)
            swapped[number] = replace(activation, inputs=(source,), shape=node.shape)
    return tuple(swapped)


def _is(nodes: Sequence[Node], value: int, operation: type[Sigmoid | Tanh]) -> bool:
    return value > 0 and isinstance(nodes[value - 1].operation, operation)


def _source(nodes: Sequence[Node], value: int) -> int:
    return nodes[value - 1].inputs[0]


def _without_unused(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Nodes that the last one depends on, numbered anew."""
    used = {len(nodes)}
    for number in range(len(nodes), 0, -1):
        if number in used:
            used.update(nodes[number - 1].inputs)
    kept = [number for number in range(1, len(nodes) + 1) if number in used]
    renumbered = {0: 0} | {number: place for place, number in enumerate(kept, start=1)}
    return tuple(replace(nodes[n - 1], inputs=tuple(renumbered[i] for i in nodes[n - 1].inputs)) for n in kept)
