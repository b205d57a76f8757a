"""The proof of a whole ball: lower bounds of all margins, in spaces of too many dimensions to be cut into leaves.

The graph is walked once. Every value gets a box; before a value enters an operation that is not affine, its elements are
pulled back to the clip and bounded over the ball, and the better of both is kept. In the end so are the margins. There is no
optimiser, no choice that the proof depends on, and none of the bounds that the search uses (docs/bounds.md, "Certificates").
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.certificate.forms import LARGEST, AffineForm, gamma, image_of, sizes_of
from verification.engine.certificate.planes import Box, Planes, planes_of, range_of
from verification.engine.certificate.pull import Favourites, Pull
from verification.engine.certificate.reached import Reached, reached
from verification.engine.network.graph import Graph, Node
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.relu import Relu
from verification.engine.perturbation import Norm, Space

_ELEMENTS = 1 << 22  # of all functionals that are pulled back together, at the largest value
_MOST_ELEMENTS = 1 << 33  # of all of them in one proof; what comes later in the graph keeps its interval
_NARROW = 1e-9  # boxes that no bound of their own would make better


@dataclass(frozen=True)
class BallChecker:
    """`graph`: constants in float64; `frames` (l, 3, h, w) float64 in [0, 1]; `label`: the class to keep."""

    graph: Graph
    frames: Tensor
    space: Space
    norm: Norm
    label: int

    def margin(self, radius: float, check: Callable[[], None]) -> float:
        """A lower bound of all margins over all perturbations of norm at most `radius`; minus infinity where nothing is known.

        `check` is called between pieces of work. Raises UnsupportedOperationError for a graph with an operation, or a space,
        that has no rule.
        """
        with torch.no_grad():
            walk = _Walk(self.graph, reached(self.frames, self.space, self.norm, radius), check)
            return walk.margin(self.label)


@dataclass
class _Walk:
    """What is known of the values so far, over the clips of `region`."""

    graph: Graph
    region: Reached
    check: Callable[[], None]
    boxes: list[Box] = field(default_factory=list)
    sizes: list[Tensor] = field(default_factory=list)
    relaxations: dict[int, Planes | Favourites] = field(default_factory=dict)
    refined: dict[int, Tensor] = field(default_factory=dict)
    spent: int = 0

    def __post_init__(self) -> None:
        self._keep(self.region.box())
        for number, node in enumerate(self.graph.nodes, start=1):
            if node.inputs and node.operation.linear_part() is None:
                self._relax(number, node)
            else:
                self._affine(node)

    def margin(self, label: int) -> float:
        count = self.graph.output_shape[1]
        rows = -torch.eye(count, dtype=torch.float64)
        rows[:, label] += 1
        others = [c for c in range(count) if c != label]
        sound = all(bool((size < LARGEST).all()) for size in self.sizes)
        margins = self._least(len(self.graph.nodes), rows[others].view(-1, *self.graph.output_shape))
        return float(margins.amin()) if sound and bool(margins.isfinite().all()) else -torch.inf

    def _keep(self, box: Box, size: Tensor | None = None) -> None:
        low, high = box
        self.boxes.append((low, torch.maximum(low, high)))
        self.sizes.append(torch.maximum(low.abs(), high.abs()) if size is None else size)

    def _affine(self, node: Node) -> None:
        """Intervals through an affine operation, by its linear part's absolute values; and those of its sums."""
        forms = [_form(self.boxes[value]) for value in node.inputs]
        if not forms:
            value = node.operation.concrete()
            return self._keep((value, value))
        (low, high) = image_of(node.operation, forms).ends
        size = sizes_of(node.operation, [self.sizes[value] for value in node.inputs])
        return self._keep((low[0], high[0]), size)

    def _relax(self, number: int, node: Node) -> None:
        for value in set(node.inputs):
            self._refine(value, node)
        boxes = [self.boxes[value] for value in node.inputs]
        if isinstance(node.operation, MaxPool):
            self.relaxations[number] = _favourites(node.operation, boxes[0])
            self._keep((node.operation.concrete(boxes[0][0]), node.operation.concrete(boxes[0][1])))
        else:
            self.relaxations[number] = planes_of(node.operation, boxes)
            self._keep(range_of(node.operation, boxes))

    def _refine(self, value: int, reader: Node) -> None:
        """Bound a value's elements by functionals of the clip, where the reader gains from it."""
        low, high = self.boxes[value]
        wanted = high - low > _NARROW * (1 + self.sizes[value])
        if isinstance(reader.operation, Relu):
            wanted = wanted & (low < 0) & (high > 0)
        known = self.refined.get(value, torch.zeros_like(wanted))
        wanted, self.refined[value] = wanted & ~known, wanted | known
        elements = _by_place(wanted)
        cost = 2 * len(elements) * self._largest
        if value == 0 or not len(elements) or self.spent + cost > _MOST_ELEMENTS:
            return
        self.spent += cost
        low, high = low.flatten().clone(), high.flatten().clone()
        for rows in elements.split(self._at_once):
            unit = torch.zeros(len(rows), low.numel(), dtype=torch.float64)
            unit[torch.arange(len(rows)), rows] = 1.0
            unit = unit.view(len(rows), *self.graph.shape_of(value))
            low[rows] = torch.maximum(low[rows], self._least(value, unit))
            high[rows] = torch.minimum(high[rows], -self._least(value, -unit))
        shape = self.graph.shape_of(value)
        low, high = low.view(shape), high.view(shape)
        self.boxes[value] = low, torch.maximum(low, high)

    @cached_property
    def _largest(self) -> int:
        """The elements of the graph's largest value."""
        return max(map(self.graph.elements_of, range(len(self.graph.nodes) + 1)))

    @property
    def _at_once(self) -> int:
        return max(1, _ELEMENTS // self._largest)

    def _least(self, value: int, functionals: Tensor) -> Tensor:
        """(N,): lower bounds of functionals (N, *shape) of a value over the region."""
        found = []
        for part in functionals.split(self._at_once):
            self.check()
            clip, constant = Pull(self.graph, self.relaxations, self.sizes).to_clip(value, part)
            least = self.region.least(clip)
            found.append(least + constant - gamma(1) * (least.abs() + constant.abs()))
        return torch.cat(found)


def _by_place(wanted: Tensor) -> Tensor:
    """The numbers of elements, those of one place after each other: they look at the same part of the clip."""
    numbers = torch.arange(wanted.numel()).view(wanted.shape)
    if wanted.dim() >= 4:
        numbers, wanted = numbers.movedim(1, -1), wanted.movedim(1, -1)
    return numbers[wanted]


def _form(box: Box) -> AffineForm:
    """A box as a form without symbols."""
    low, high = (side[None] for side in box)
    centre = low / 2 + high / 2
    error = torch.maximum(high - centre, centre - low) * (1 + 1e-15)
    return AffineForm(centre, centre.new_zeros((1, 0, *centre.shape[1:])), error, True)


def _favourites(operation: MaxPool, box: Box) -> Favourites:
    """The element that is largest in the middle, and the most by which another may exceed it; or else all of them together."""
    numbers = torch.arange(box[0].numel(), dtype=torch.float64).view(box[0].shape)
    places = operation.windows(numbers)  # (*output, k): which elements a window has; minus infinity in the padding
    inside, places = places >= 0, places.clamp(min=0).long()
    lows, highs = (side.flatten()[places] for side in box)
    first = (lows + highs).masked_fill(~inside, -torch.inf).argmax(-1, keepdim=True)
    other = inside & (torch.arange(places.shape[-1]) != first)
    own_low, own_high = (side.gather(-1, first)[..., 0] for side in (lows, highs))
    rival = highs.masked_fill(~other, -torch.inf).amax(-1)
    above = (rival - own_low).clamp(min=0) * (1 + 1e-14)
    ceiling = torch.maximum(rival, own_high)
    flat = ceiling < (own_low + own_high) / 2 + above
    return Favourites(places.gather(-1, first)[..., 0], above, flat, ceiling)
