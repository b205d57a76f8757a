"""The points of a grid that a game has come to: its open list and, because no point is made twice, no closed one.

Every point but the root has one parent: one step back towards zero in its last coordinate that is not zero. So children only
go on in that coordinate or begin a later one, and permutations of the same manipulations are never made (the paper's game
merges them in a closed set). Distances do not fall from a point to its children.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_FIRST = 64  # points that there is room for at first
#: Bytes of a point at most, while the tables grow.
POINT = 200


@dataclass(frozen=True)
class Step:
    """One visit of a point: the atomic manipulation by which the players came to it.

    `parent`: the number of the point that they came from, None for the clip itself. Player I chose the flow of `dimension`,
    Player II the dimension and `theta`, +1 or -1. `estimate`: the point's distance. `open`: points in the open list then.
    """

    point: int
    parent: int | None
    dimension: int | None
    theta: int
    estimate: float
    open: int


class Tree:
    """Rows of tensors, so that millions of points find room: a point is a run of steps in one dimension, after others.

    `estimate`: of an open point, no adversarial point is nearer among it, or once it is visited among its descendants.
    `nearest`: the same for all real-valued points in their cells. Infinite once it is closed.
    """

    _NAMES = ("base", "parent", "dimension", "steps", "distance", "estimate", "nearest", "visited")

    def __init__(self, dimensions: int) -> None:
        self.dimensions, self.count = dimensions, 1
        self._base = torch.zeros(_FIRST, dtype=torch.int64)
        self._parent = torch.full((_FIRST,), -1, dtype=torch.int64)
        self._dimension = torch.full((_FIRST,), -1, dtype=torch.int32)
        self._steps = torch.zeros(_FIRST, dtype=torch.int32)
        self._distance, self._estimate, self._nearest = (torch.zeros(_FIRST, dtype=torch.float64) for _ in range(3))
        self._visited = torch.zeros(_FIRST, dtype=torch.bool)
        #: Of the visits, in their order: the point, and how many points were open. There are no more visits than points.
        self.visits, self._order = 0, torch.zeros((_FIRST, 2), dtype=torch.int64)

    @property
    def least(self) -> float:
        """The least estimate of the open list; infinite where it is empty."""
        return float(self._estimate[: self.count].amin())

    @property
    def nearest(self) -> float:
        """No point of a cell that has not been visited is nearer."""
        return float(self._nearest[: self.count].amin())

    def wanted(self, most: int, below: float, within: float) -> Tensor:
        """The open points with an estimate below `below` or a cell nearer than `within`; at most `most`, of least estimate."""
        estimate = self._estimate[: self.count]
        index = ((estimate < below) | (self._nearest[: self.count] < within)).nonzero()[:, 0]
        if len(index) > most:
            # The oldest of those that are equally near, however the library orders them.
            last = estimate[index].kthvalue(most).values
            nearer, as_near = index[estimate[index] < last], index[estimate[index] == last]
            index = torch.cat([nearer, as_near[: most - len(nearer)]])
        return index[estimate[index].argsort(stable=True)]

    def is_visited(self, points: Tensor) -> Tensor:
        return self._visited[points]

    def distance_of(self, point: int) -> float:
        return float(self._distance[point])

    def nearest_of(self, point: int) -> float:
        return float(self._nearest[point])

    def steps(self, points: Tensor) -> Tensor:
        """(B, K) int64: where the points are, in steps from the clip."""
        found = torch.zeros((len(points), self.dimensions), dtype=torch.int64)
        rows, points = torch.arange(len(points)), points.clone()
        while bool((points > 0).any()):
            rows, points = rows[points > 0], points[points > 0]
            found[rows, self._dimension[points].long()] = self._steps[points].long()
            points = self._base[points]
        return found

    def moves_from(self, point: int) -> tuple[Tensor, Tensor]:
        """The dimensions (M,) and the signs (M,) of the steps to the children of a point."""
        last = int(self._dimension[point])
        later = torch.arange(last + 1, self.dimensions).repeat_interleave(2)
        signs = torch.tensor([1, -1]).repeat(self.dimensions - last - 1)
        if last < 0:
            return later, signs
        return torch.cat([torch.tensor([last]), later]), torch.cat(
            [self._steps[point : point + 1].sign().long(), signs]
        )

    def visit(self, point: int, estimate: float, nearest: float) -> None:
        """A point has been looked at: what remains of it are its descendants, or nothing where both are infinite."""
        self._order[self.visits, 0], self._order[self.visits, 1] = point, self._estimate[: self.count].isfinite().sum()
        self.visits += 1
        self._visited[point] = True
        self._estimate[point], self._nearest[point] = estimate, nearest

    def expand(self, point: int, distances: Tensor, nearest: Tensor) -> None:
        """Close a point and open its children, those of `moves_from`."""
        dimensions, signs = self.moves_from(point)
        first, self.count = self.count, self.count + len(dimensions)
        while self.count > len(self._base):
            self._grow()
        rows = slice(first, self.count)
        self._estimate[point] = self._nearest[point] = torch.inf
        goes_on = dimensions == int(self._dimension[point])
        self._base[rows] = torch.where(goes_on, self._base[point], point)
        self._parent[rows] = point
        self._dimension[rows] = dimensions.int()
        self._steps[rows] = torch.where(goes_on, self._steps[point] + signs, signs).int()
        self._distance[rows] = self._estimate[rows] = distances
        self._nearest[rows] = nearest

    def _grow(self) -> None:
        for name in (*self._NAMES, "order"):
            rows = getattr(self, f"_{name}")
            setattr(self, f"_{name}", torch.cat([rows, torch.zeros_like(rows)]))

    def moves(self, first: int = 0) -> Iterator[Step]:
        """All visits in their order, from number `first` on."""
        for point, count in self._order[first : self.visits].tolist():
            come = point > 0
            yield Step(
                point,
                int(self._parent[point]) if come else None,
                int(self._dimension[point]) if come else None,
                int(self._steps[point].sign()),
                float(self._distance[point]),
                count,
            )

    def tensors(self) -> dict[str, Tensor]:
        """All points, for `restore`."""
        found = {name: getattr(self, f"_{name}")[: self.count].clone() for name in self._NAMES}
        return found | {"order": self._order[: self.visits].clone()}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor], dimensions: int) -> "Tree":
        """The tree that gave these tensors."""
        tree = cls(dimensions)
        for name in cls._NAMES:
            setattr(tree, f"_{name}", tensors[name].cpu().clone())
        tree.count = len(tensors["base"])
        tree.visits = len(tensors["order"])
        tree._order = torch.zeros((tree.count, 2), dtype=torch.int64)
        tree._order[: tree.visits] = tensors["order"].cpu()
        return tree
