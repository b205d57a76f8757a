"""Linear functionals of a value of the graph, pulled back to the clip: how the checker sees over a whole ball at once.

A functional `A . y` of an operation's output is bounded from below by functionals of its inputs: an affine operation's
transpose, or the lower planes where A is positive and the upper ones where it is negative. All in float64, and what rounding may
have changed is counted: for an affine operation `gamma |A| . (|W| |x| + |b|)`, whatever the order of its sums.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.certificate.forms import gamma
from verification.engine.certificate.planes import Planes
from verification.engine.network.graph import Graph, Node
from verification.engine.network.operations.base import Operation
from verification.engine.network.operations.convolution import TRANSPOSE, Convolution
from verification.engine.network.operations.shape import Permute, Reshape


@dataclass(frozen=True)
class Favourites:
    """Max-pooling, between `x[index]` and `x[index] + above`, or below `ceiling` where `flat`; all of the output's shape.

    `index`: of an element of the flattened input.
    """

    index: Tensor
    above: Tensor
    flat: Tensor
    ceiling: Tensor


Relaxation = Planes | Favourites


@dataclass(frozen=True)
class Pull:
    """What takes functionals through `graph`: `relaxations` of its nodes that are not affine, by their number.

    `sizes`: of every value, counted from 0, the greatest absolute values, (*shape); of affine nodes' outputs as their own sums of
    absolute values, `|W| |x| + |b|`.
    """

    graph: Graph
    relaxations: Mapping[int, Relaxation]
    sizes: Sequence[Tensor]

    def to_clip(self, number: int, functionals: Tensor) -> tuple[Tensor, Tensor]:
        """Functionals (N, *shape) of value `number`: those of the clip (N, 1, l, 3, h, w), and (N,) what is added to them.

        `A . y >= A' . v + constant` for all clips v of which all that is known of the values holds; the constant is rounded down.
        """
        waiting: dict[int, list[Tensor]] = {number: [functionals]}
        constant = functionals.new_zeros(len(functionals))
        weight, terms = torch.zeros_like(constant), 0  # of all that is added up, for its rounding
        for value in range(number, 0, -1):
            if value not in waiting:
                continue
            parts = waiting.pop(value)
            a = parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)
            lost = self._joined(value, parts)
            node = self.graph.nodes[value - 1]
            pulled, added = self._through(value, node, a)
            constant, weight, terms = constant + added - lost, weight + added.abs() + lost, terms + 2
            for source, part in zip(node.inputs, pulled, strict=True):
                waiting.setdefault(source, []).append(part)
        parts = waiting.get(0, [functionals.new_zeros((len(functionals), *self.graph.input_shape))])
        lost = self._joined(0, parts)
        return torch.stack(parts).sum(0), constant - lost - gamma(terms) * (weight + lost)

    def _joined(self, value: int, parts: Sequence[Tensor]) -> Tensor:
        """(N,): what the sum of several functionals of one value may lose."""
        if len(parts) == 1:
            return parts[0].new_zeros(len(parts[0]))
        sizes = torch.stack([_dot(part.abs(), self.sizes[value]) for part in parts])
        return gamma(len(parts) + parts[0][0].numel()) * sizes.sum(0)

    def _through(self, number: int, node: Node, a: Tensor) -> tuple[list[Tensor], Tensor]:
        relaxation = self.relaxations.get(number)
        if isinstance(relaxation, Favourites):
            return self._favourites(number, node, relaxation, a)
        if relaxation is not None:
            return self._planes(node, relaxation, a)
        operation, sizes = node.operation, [self.graph.shape_of(value) for value in node.inputs]
        if isinstance(operation, Permute | Reshape):  # nothing is added up, nothing is rounded
            return _transposed(operation, [a.new_zeros(sizes[0])], a), a.new_zeros(len(a))
        lost = gamma(a[0].numel() + sum(map(self.graph.elements_of, node.inputs))) * _dot(a.abs(), self.sizes[number])
        zeros = [a.new_zeros(size) for size in sizes]
        shift = _dot(a, operation.concrete(*zeros))
        return _transposed(operation, zeros, a), shift - lost - 1e-200

    def _planes(self, node: Node, planes: Planes, a: Tensor) -> tuple[list[Tensor], Tensor]:
        positive, negative = a.clamp(min=0), a.clamp(max=0)
        pulled, reach = [], planes.below.abs() + planes.above.abs()
        for value, low, high in zip(node.inputs, planes.lower, planes.upper, strict=True):
            part = positive * low + negative * high
            pulled.append(_fitted(part, self.graph.shape_of(value)))
            reach = reach + torch.maximum(low.abs(), high.abs()) * self.sizes[value]
        lost = gamma(2 * a[0].numel()) * _dot(a.abs(), reach)
        return pulled, _dot(positive, planes.below) + _dot(negative, planes.above) - lost - 1e-200

    def _favourites(self, number: int, node: Node, known: Favourites, a: Tensor) -> tuple[list[Tensor], Tensor]:
        (source,) = node.inputs
        negative = a.clamp(max=0)
        through = torch.where(known.flat, a.clamp(min=0), a)
        elements = self.graph.elements_of(source)
        pulled = a.new_zeros(len(a), elements)
        pulled.index_add_(1, known.index.flatten(), through.flatten(1))
        # What is below `x + above` or the ceiling; an overflow of either is caught where values are.
        added = _dot(negative, torch.where(known.flat, known.ceiling, known.above))
        reach = self.sizes[source].flatten()[known.index] + known.above.abs() + known.ceiling.abs()
        lost = gamma(2 * a[0].numel()) * _dot(a.abs(), reach)
        return [pulled.view(len(a), *self.graph.shape_of(source))], added - lost - 1e-200


def _dot(functionals: Tensor, value: Tensor) -> Tensor:
    """(N,)"""
    return functionals.flatten(1) @ value.expand(functionals.shape[1:]).flatten()


def _transposed(operation: Operation, zeros: Sequence[Tensor], a: Tensor) -> list[Tensor]:
    """The transpose of an affine operation's linear part, for each of its inputs."""
    part = operation.linear_part()
    assert part is not None
    if not zeros:
        return []
    if type(operation) is Convolution:  # and not its transpose, which is a subclass
        return [_deconvolved(operation, zeros[0].shape, a)]
    pullback = torch.func.vjp(part.concrete, *zeros)[1]
    return list(torch.vmap(pullback)(a))


def _deconvolved(operation: Convolution, shape: Sequence[int], a: Tensor) -> Tensor:
    """The transpose of a convolution where functionals (N, b, c, *places) are not zero: mostly that is a small part of them."""
    there = (a != 0).any(2).any(0)  # (b, *places)
    spans = []
    for axis in range(there.dim()):
        hit = there.movedim(axis, 0).flatten(1).any(1).nonzero()[:, 0]
        spans.append(slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 1))
    inner = a[(slice(None), spans[0], slice(None), *spans[1:])]
    seen = TRANSPOSE[operation.rank](
        inner.flatten(0, 1),
        operation.weight,
        stride=operation.stride,
        dilation=operation.dilation,
        groups=operation.groups,
    ).unflatten(0, inner.shape[:2])
    result = a.new_zeros(len(a), *shape)
    to = [slice(None), spans[0], slice(None)]
    of = [slice(None), slice(None), slice(None)]
    for axis, span in enumerate(spans[1:]):
        # The first place that is seen lies before the first element where there is padding.
        first = span.start * operation.stride[axis] - operation.padding[axis]
        last = min(first + seen.shape[3 + axis], shape[2 + axis])
        to.append(slice(max(first, 0), max(last, 0)))
        of.append(slice(max(-first, 0), max(last - first, 0)))
    result[tuple(to)] = seen[tuple(of)]
    return result


def _fitted(part: Tensor, shape: Sequence[int]) -> Tensor:
    """Summed over the axes along which an input of this shape was repeated."""
    missing = part.dim() - 1 - len(shape)
    part = part.flatten(1, missing).sum(1) if missing > 0 else part
    for axis, size in enumerate(shape, start=1):
        if size == 1 and part.shape[axis] > 1:
            part = part.sum(axis, keepdim=True)
    return part
