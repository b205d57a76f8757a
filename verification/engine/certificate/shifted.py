"""The same as `Imposed.form`, behind the affine beginning of a graph: from clips that are shifted by whole pixels.

What the pixels of one kind contribute to a value that is affine in the clip is bilinear in their displacement between lines of
whole pixels. So each whole-pixel shift of each kind goes through the graph once, for all leaves.
"""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.certificate.bilinear import Patch, Rectangle
from verification.engine.certificate.cover import centred
from verification.engine.certificate.forms import AffineForm, gamma, image_of
from verification.engine.certificate.imposed import Imposed
from verification.engine.network.graph import Graph

_AT_ONCE = 4  # shifts that go through the graph together
_MOST_BYTES = 1 << 28  # of what is kept of them
_FEWEST = 256  # shifts for which there must be room, or it does not pay

_Point = tuple[int, int, int]  # a kind, and whole pixels along x and along y


@dataclass(frozen=True)
class Shifted:
    """`anchors`: the values of `graph` that are affine in the clip and read by what is not, or the last."""

    graph: Graph
    imposed: Imposed
    _known: dict[_Point, dict[int, tuple[Tensor, Tensor]]] = field(default_factory=dict)

    @cached_property
    def affine(self) -> frozenset[int]:
        """All values that are affine in the clip."""
        numbers = {0}
        for number, node in enumerate(self.graph.nodes, start=1):
            if node.inputs and node.operation.linear_part() is not None and numbers.issuperset(node.inputs):
                numbers.add(number)
        return frozenset(numbers)

    @cached_property
    def anchors(self) -> frozenset[int]:
        nodes = list(enumerate(self.graph.nodes, start=1))
        read = {value for number, node in nodes if number not in self.affine for value in node.inputs}
        return frozenset((read | {len(nodes)}) & self.affine)

    @property
    def _most(self) -> int:
        """How many shifts there is room for."""
        return int(_MOST_BYTES // (16 * sum(self.graph.elements_of(anchor) for anchor in self.anchors)))

    @property
    def pays(self) -> bool:
        """Whether kinds are told apart, and shifts need less room than clips do."""
        return bool(len(self.imposed.kinds)) and self._most >= _FEWEST

    def forms(self, lower: Tensor, upper: Tensor) -> dict[int, AffineForm]:
        """Those of the anchors for boxes `lower`, `upper` (B, K), with the symbols of `Imposed.form`."""
        _, half = centred(lower, upper)
        rectangle = self.imposed.rectangles(lower, upper)
        nodes = rectangle.nodes()
        sides = [size - 1 for size in (self.imposed.frames.shape[3], self.imposed.frames.shape[2])]
        # Beyond the edges nothing changes any more.
        ends = rectangle.place.new_tensor(sides)
        places = [(rectangle.place + node).clamp(-ends, ends) for node in nodes]
        first = [place.floor() for place in places]
        share = [place - whole for place, whole in zip(places, first, strict=True)]
        points, index = _points(first, share)
        images = self._images(points)
        shares = half[..., None, None] * self.imposed.kinds_fields / rectangle.reach.clamp(min=1e-300).unsqueeze(1)
        lost = rectangle.lost(max(sides) + 1).amax(1)
        found = {}
        for anchor, (values, errors) in images.items():
            flat = [1] * (values.dim() - 1)
            seen = [
                [_between(values, index[i, :, j], share[i][..., 0], share[j][..., 1]) for j in range(len(nodes))]
                for i in range(len(nodes))
            ]
            wide = Rectangle(*(_widened(part, flat) for part in (rectangle.place, rectangle.reach)))
            patch = Patch.through(seen, [_widened(node, flat) for node in nodes], wide)
            lost_here = lost.view(-1, *flat) * self._sizes[anchor] + len(self.imposed.kinds) * errors.amax(0)
            found[anchor] = self._joined(anchor, patch, _widened(shares, flat), lost_here)
        return found

    def _joined(self, anchor: int, patch: Patch, shares: Tensor, lost: Tensor) -> AffineForm:
        """The form from what each kind contributes, (B, N, *shape), and its displacements' shares (B, K, N, ..., 2)."""
        still, halves = self._still[anchor], [rest / 2 for rest in patch.inner]
        slopes = (patch.across.unsqueeze(1) * shares[..., 0] + patch.down.unsqueeze(1) * shares[..., 1]).sum(2)
        slopes = torch.cat([slopes, patch.twist, *halves], 1)
        centre = (patch.middle + sum(halves)).sum(1) + still.centre
        rounding = 16 * gamma(4 * slopes.shape[1]) * (self._sizes[anchor] + still.centre.abs())
        return AffineForm(centre, slopes, lost + still.error + rounding, False)

    def _images(self, points: list[_Point]) -> dict[int, tuple[Tensor, Tensor]]:
        """For each anchor what the shifts contribute to it, (points, *shape), and by how much that may be rounded."""
        missing = [point for point in points if point not in self._known]
        if len(self._known) + len(missing) > self._most:
            for point in set(self._known) - set(points):
                del self._known[point]
        for start in range(0, len(missing), _AT_ONCE):
            part = missing[start : start + _AT_ONCE]
            found = self._through(_exact(torch.stack([self._shift(*point) for point in part])), linear=True)
            for row, point in enumerate(part):
                self._known[point] = {
                    anchor: (form.centre[row].clone(), form.error[row].clone()) for anchor, form in found.items()
                }
        images = {}
        for anchor in self.anchors:
            values, errors = zip(*(self._known[point][anchor] for point in points), strict=True)
            images[anchor] = torch.stack(values), torch.stack(errors)
        return images

    def _shift(self, kind: int, across: int, down: int) -> Tensor:
        """(1, l, 3, h, w): the pixels of a kind under a displacement of whole pixels; zero elsewhere."""
        length, _, height, width = self.imposed.frames.shape
        motion = self.imposed.frames.new_tensor([across, down]).view(1, 1, 2, 1, 1).expand(1, length, 2, height, width)
        return self.imposed.moved(motion) * self.imposed.kinds[kind]

    @cached_property
    def _still(self) -> dict[int, AffineForm]:
        """What the pixels that do not move, and constants, make of the anchors."""
        still = self.imposed.frames * (1 - self.imposed.kinds.sum(0))
        return self._through(_exact(still[None, None]), linear=False)

    @cached_property
    def _sizes(self) -> dict[int, Tensor]:
        """(1, *shape) of each anchor: the most that moving pixels from -1 to 1 can make of it."""
        moving = self.imposed.kinds.sum(0).expand(self.imposed.frames.shape)[None, None]
        form = _exact(torch.zeros_like(moving))
        found = self._through(AffineForm(form.centre, form.slopes, moving, False), linear=True)
        return {anchor: form.error for anchor, form in found.items()}

    def _through(self, clip: AffineForm, linear: bool) -> dict[int, AffineForm]:
        """The anchors' forms for clips; `linear`: without the constants of operations."""
        known = {0: clip}
        for number in sorted(self.affine - {0}):
            node = self.graph.nodes[number - 1]
            part = node.operation.linear_part() if linear else node.operation
            assert part is not None
            known[number] = image_of(part, [known[value] for value in node.inputs])
        return {number: known[number] for number in self.anchors}


def _exact(clips: Tensor) -> AffineForm:
    """Clips (B, 1, l, 3, h, w) that are known."""
    return AffineForm(clips, clips.new_zeros((len(clips), 0, *clips.shape[1:])), torch.zeros_like(clips), False)


def _widened(part: Tensor, flat: list[int]) -> Tensor:
    """(..., 2) with axes of size 1 before the last one."""
    return part.view(*part.shape[:-1], *flat, 2)


def _points(first: list[Tensor], share: list[Tensor]) -> tuple[list[_Point], Tensor]:
    """The shifts between which displacements lie, and (nodes x, 2, nodes y, 2, B, N) which: below and above along x and y.

    For every node (B, N, 2) the whole pixels below, and how far it is from there.
    """
    ends = torch.stack([torch.stack([whole, whole + (rest > 0)]) for whole, rest in zip(first, share, strict=True)])
    x, y = ends[:, :, None, None, ..., 0], ends[None, None, ..., 1]
    kind = torch.arange(ends.shape[3]).to(x)
    keys = torch.stack(torch.broadcast_tensors(kind, x, y), -1)
    points, index = keys.flatten(0, -2).unique(dim=0, return_inverse=True)
    return [(kind, across, down) for kind, across, down in points.long().tolist()], index.view(keys.shape[:-1])


def _between(values: Tensor, index: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """(B, N, *shape): bilinear between `values` (points, *shape) at `index` (2, 2, B, N), by the shares (B, N)."""
    shares = [part.view(*part.shape, *[1] * (values.dim() - 1)) for part in (across, down)]
    upper = values[index[0, 0]] * (1 - shares[0]) + values[index[1, 0]] * shares[0]
    lower = values[index[0, 1]] * (1 - shares[0]) + values[index[1, 1]] * shares[0]
    return upper * (1 - shares[1]) + lower * shares[1]
