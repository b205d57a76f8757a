"""Which values of a graph depend on which, and what of it bounds have to know (engine contract, section 6)."""

from collections.abc import Collection

from verification.engine.network.graph import Graph
from verification.engine.network.operations.convolution import Convolution
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.pooled_convolution import PooledConvolution


def readers_of(graph: Graph) -> list[list[int]]:
    """For every value the numbers of the nodes that read it."""
    readers: list[list[int]] = [[] for _ in range(len(graph.nodes) + 1)]
    for number, node in enumerate(graph.nodes, start=1):
        for value in node.inputs:
            readers[value].append(number)
    return readers


def pooled_of(graph: Graph) -> dict[int, PooledConvolution]:
    """The max-poolings, by the number of their value, that can be pulled back together with the convolution before them."""
    found = {}
    for number, node in enumerate(graph.nodes, start=1):
        before = graph.nodes[node.inputs[0] - 1].operation if node.inputs and node.inputs[0] else None
        if isinstance(node.operation, MaxPool) and isinstance(before, Convolution):
            pooled = PooledConvolution.build(node.operation, before)
            if pooled is not None:
                found[number] = pooled
    return found


def wanted_of(graph: Graph) -> list[bool]:
    """Which values reach a relaxation through nothing but exact interval rules: tight intervals of them pay."""
    wanted = [False] * (len(graph.nodes) + 1)
    for number in range(len(graph.nodes), 0, -1):
        node = graph.nodes[number - 1]
        passes_on = wanted[number] and node.operation.exact_interval and not node.operation.relaxes
        for value in node.inputs:
            wanted[value] = wanted[value] or node.operation.relaxes or passes_on
    return wanted


def waists_of(graph: Graph, anchors: Collection[int]) -> list[frozenset[int]]:
    """For every value those behind the anchors that all paths from the anchors to it go through, itself left out."""
    through: list[frozenset[int] | None] = [None] * (len(graph.nodes) + 1)  # None: nothing of the anchors is in it
    for number in range(len(through)):
        if number in anchors:
            through[number] = frozenset()
            continue
        inputs = graph.nodes[number - 1].inputs if number else ()
        ways = [known | {value} for value in inputs if (known := through[value]) is not None]
        through[number] = frozenset.intersection(*ways) if ways else None
    return [(known or frozenset()) - frozenset(anchors) for known in through]
