"""The cells of a game: boxes that cover the space, each with the least distance that an adversarial example in it can have."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_FIRST = 64  # cells that there is room for at first


@dataclass(frozen=True)
class Cut:
    """Where a cell is to be split: in coordinate `dimension`, at `place`."""

    dimension: int
    place: float


@dataclass(frozen=True)
class Move:
    """What both players chose in one turn: to split a cell in a dimension, which belongs to a flow, at a place.

    `cell` becomes the lower half, and cell number `open` the upper one: so many there were before. `estimate`: of the whole.
    """

    cell: int
    dimension: int
    place: float
    estimate: float
    open: int


class Frontier:
    """Boxes `lower <= a <= upper` that cover R^K, in rows of tensors so that millions of them find room.

    A cell is a row. `estimate`: no adversarial example in the cell is nearer. `dimension`, `place`: where it is to be split, if
    that is known. A row that is split keeps the lower half; the upper half is a new one, which keeps the move that made it.
    """

    _NAMES = ("lower", "upper", "estimate", "dimension", "place", "parent", "moved", "moved_at", "moved_when")

    def __init__(self, dimensions: int) -> None:
        self.count = 1
        self._lower = torch.full((_FIRST, dimensions), -torch.inf, dtype=torch.float64)
        self._upper = torch.full((_FIRST, dimensions), torch.inf, dtype=torch.float64)
        self._estimate = torch.zeros(_FIRST, dtype=torch.float64)
        self._dimension = torch.full((_FIRST,), -1, dtype=torch.int32)
        self._place = torch.zeros(_FIRST, dtype=torch.float64)
        self._parent = torch.full((_FIRST,), -1, dtype=torch.int64)
        self._moved = torch.full((_FIRST,), -1, dtype=torch.int32)
        self._moved_at = torch.zeros(_FIRST, dtype=torch.float64)
        self._moved_when = torch.zeros(_FIRST, dtype=torch.float64)
        self._open = [(0.0, 0)]

    @property
    def least(self) -> float:
        """The least estimate of all cells: a lower bound of the distance of every adversarial example."""
        return self._open[0][0]

    def reaching(self, distance: float) -> int:
        """How many cells have an estimate of at least `distance`."""
        return int((self._estimate[: self.count] >= distance).sum())

    def take(self, below: float) -> int | None:
        """The cell of least estimate, the oldest of several, if that is less than `below`; it is to be put back."""
        return heapq.heappop(self._open)[1] if self._open and self._open[0][0] < below else None

    def reopen(self) -> None:
        """Put back all cells that were taken, with what was known of them."""
        self._open = [(estimate, cell) for cell, estimate in enumerate(self._estimate[: self.count].tolist())]
        heapq.heapify(self._open)

    def put(self, cell: int, estimate: float, cut: Cut | None) -> None:
        """Put a cell back: what is known of its distance now, and where to split it if that is not enough."""
        self._estimate[cell] = estimate
        self._dimension[cell] = -1 if cut is None else cut.dimension
        self._place[cell] = 0.0 if cut is None else cut.place
        heapq.heappush(self._open, (estimate, cell))

    def box(self, cell: int) -> tuple[Tensor, Tensor]:
        """(K,) each; infinite where the cell has no end."""
        return self._lower[cell].clone(), self._upper[cell].clone()

    def estimate_of(self, cell: int) -> float:
        return float(self._estimate[cell])

    def cut_of(self, cell: int) -> Cut | None:
        dimension = int(self._dimension[cell])
        return None if dimension < 0 else Cut(dimension, float(self._place[cell]))

    def split(self, cell: int, cut: Cut) -> tuple[int, int]:
        """Both halves, with the estimate of the whole; neither is put back."""
        if self.count == len(self._estimate):
            self._grow()
        other, self.count = self.count, self.count + 1
        for rows in (self._lower, self._upper, self._estimate):
            rows[other] = rows[cell]
        self._upper[cell, cut.dimension] = cut.place
        self._lower[other, cut.dimension] = cut.place
        self._parent[other], self._moved[other] = cell, cut.dimension
        self._moved_at[other], self._moved_when[other] = cut.place, self._estimate[cell]
        return cell, other

    def _grow(self) -> None:
        for name in self._NAMES:
            rows = getattr(self, f"_{name}")
            setattr(self, f"_{name}", torch.cat([rows, torch.zeros_like(rows)]))

    def moves(self, first: int = 1) -> Iterator[Move]:
        """All that were made, in their order, from the one that made cell `first` on: applied to one cell, R^K, they give all."""
        columns = (self._parent, self._moved, self._moved_at, self._moved_when)
        rows = zip(*(column[first : self.count].tolist() for column in columns), strict=True)
        for number, (cell, dimension, place, estimate) in enumerate(rows, start=first):
            yield Move(cell, dimension, place, estimate, number)

    def tensors(self) -> dict[str, Tensor]:
        """All cells, for `restore`; none must be taken."""
        return {name: getattr(self, f"_{name}")[: self.count].clone() for name in self._NAMES}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor]) -> "Frontier":
        """The frontier that gave these tensors."""
        frontier = cls(tensors["lower"].shape[1])
        for name in cls._NAMES:
            setattr(frontier, f"_{name}", tensors[name].cpu().clone())
        frontier.count = len(tensors["lower"])
        frontier.reopen()
        return frontier
