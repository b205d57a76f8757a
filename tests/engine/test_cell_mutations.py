"""Deliberately wrong bounds of cells must be noticed by the referees of their tests: who guards them guards the product.

Mutations, one a test case:
  twist-halved      pixels of one kind share half of `s t` only
  hats-halved       and half of what lattice lines do
  corners-only      and nothing of it: a cell is known by its corners
  line-missed       the last lattice line in a cell is forgotten
  wrong-sign        displacements are in the other direction
  sides-shared      a line that nearly is a side counts as one, and nothing is added for that
  shares-swapped    an image between two whole pixels takes the other's share of each
  kind-exchanged    what one kind of displacement moves is taken from another
  shared-dropped    shared parameters are not folded into the constants of margins
  shared-centred    intervals forget the parameters and know the error alone
  refined-sign      the upper bounds of neurons that were pulled back have slopes of the wrong sign
  refined-halved    the enclosure between two linear bounds is half as wide
  affine-error      affine operations lose the errors of their inputs
  planes-halved     elementwise functions lose half of what lies between their planes
  maximum-favourite a maximum is its favourite, whatever another may exceed it by
  stem-shortened    anchors lose what the frames that stand still contribute
  weights-large     distances are measured with weights that are too large
  duality           what the functional lacks is paid for twice in L2
  box-narrow        a cell's coordinates reach half as far as they do
  horizon-whole     what lies beyond the horizon has the distance of what lies within
  corner-far        the nearest corner of a cell is farther away than it is
  half-lost         the upper half of a cell that is split is forgotten
  half-shifted      both halves leave a gap between them
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.bounding import TOLERANCE
from tests.engine.cell_games import estimate_excess, make_game
from tests.engine.cell_referee import make_problem, some_cells, unchecked, worst_margin, worst_value
from verification.engine.bounds import distance
from verification.engine.bounds.cell import Cell
from verification.engine.bounds.enclosed import EnclosedBounds
from verification.engine.bounds.fields import Fields
from verification.engine.bounds.lattice_images import LatticeImages
from verification.engine.bounds.problem import Problem
from verification.engine.bounds.surface import Surface
from verification.engine.game import cells
from verification.engine.game.cells import CellSearch
from verification.engine.game.frontier import Cut, Frontier
from verification.engine.network.operations.base import Elementwise, Operation, Site
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Enclosure, Rounding

Patch = pytest.MonkeyPatch


def change_surface(patch: Patch, **wrong: Callable[[Surface], Tensor]) -> None:
    """Replace fields of the surfaces through the nodes of cells."""
    right = Surface.through

    def through(*args: Any) -> Surface:
        good = right(*args)
        return replace(good, **{name: of(good) for name, of in wrong.items()})

    patch.setattr(Surface, "through", through)


def change_error(patch: Patch, operation: Any, share: float) -> None:
    """Take a share of the errors of the enclosures that an operation's class gives."""
    right: Callable[..., Enclosure] = operation.enclose

    def wrong(*args: Any) -> Enclosure:
        good = right(*args)
        return replace(good, error=share * good.error)

    patch.setattr(operation, "enclose", wrong)


def twist_halved(patch: Patch) -> None:
    change_surface(patch, shared=lambda s: torch.cat([s.shared[:1] / 2, s.shared[1:]]))


def hats_halved(patch: Patch) -> None:
    change_surface(patch, shared=lambda s: torch.cat([s.shared[:1], s.shared[1:] / 2]))


def corners_only(patch: Patch) -> None:
    change_surface(
        patch,
        shared=lambda s: torch.cat([s.shared[:1], 0 * s.shared[1:]]),
        middle=lambda s: s.middle - s.shared[1:].sum(0),
    )


def line_missed(patch: Patch) -> None:
    right = Fields._between

    def wrong(self: Fields, *args: Tensor) -> list[tuple[Tensor, ...]]:
        return [(first, last - 1, place, reach) for first, last, place, reach in right(self, *args)]

    patch.setattr(Fields, "_between", wrong)


def wrong_sign(patch: Patch) -> None:
    right = Fields.of

    def wrong(*args: Any) -> Fields:
        good = right(*args)
        return replace(good, values=-good.values, kinds=-good.kinds)

    patch.setattr(Fields, "of", wrong)


def sides_shared(patch: Patch) -> None:
    patch.setattr("verification.engine.bounds.fields.NEAR", 1e-3)


def shares_swapped(patch: Patch) -> None:
    right = LatticeImages._between

    def wrong(self: LatticeImages, *args: Any) -> list[list[tuple[int, float]]]:
        return [[(n, 1 - share if len(ends) > 1 else share) for n, share in ends] for ends in right(self, *args)]

    patch.setattr(LatticeImages, "_between", wrong)


def kind_exchanged(patch: Patch) -> None:
    right = LatticeImages._shifted
    patch.setattr(
        LatticeImages, "_shifted", lambda self, at, *place: right(self, len(self.fields.members) - 1 - at, *place)
    )


def shared_dropped(patch: Patch) -> None:
    right = EnclosedBounds.margins

    def wrong(self: EnclosedBounds, label: int) -> tuple[Tensor, Tensor]:
        constants, slopes = right(self, label)
        return constants, torch.cat([slopes[:, :4], 0 * slopes[:, 4:]], 1)

    patch.setattr(EnclosedBounds, "margins", wrong)


def shared_centred(patch: Patch) -> None:
    patch.setattr(Enclosure, "radius", lambda self, rounding: self.error)


def change_between(patch: Patch, wrong: Callable[..., Enclosure]) -> None:
    """Replace what is made of two linear bounds; `wrong` is given the right rule first."""
    right = Enclosure.between
    patch.setattr(Enclosure, "between", lambda *args: wrong(right, *args))


def refined_sign(patch: Patch) -> None:
    def wrong(right: Any, lower: Any, upper: tuple[Tensor, Tensor], rounding: Rounding) -> Enclosure:
        found: Enclosure = right(lower, (upper[0], lower[1]), rounding)
        return replace(found, slopes=-found.slopes)

    change_between(patch, wrong)


def refined_halved(patch: Patch) -> None:
    def wrong(right: Any, *args: Any) -> Enclosure:
        found: Enclosure = right(*args)
        return replace(found, error=found.error / 2)

    change_between(patch, wrong)


def affine_error(patch: Patch) -> None:
    change_error(patch, Operation, 0.0)


def planes_halved(patch: Patch) -> None:
    change_error(patch, Elementwise, 0.5)


def maximum_favourite(patch: Patch) -> None:
    def wrong(self: MaxPool, inputs: list[Enclosure], site: Site) -> Enclosure:
        (x,) = inputs
        favourite = self._boxed(site.boxes[0], site.rounding)[0]
        centre, error, *slopes = (self.windows(p).gather(-1, favourite)[..., 0] for p in (x.centre, x.error, *x.slopes))
        return Enclosure(centre, torch.stack(slopes), error)

    patch.setattr(MaxPool, "enclose", wrong)


def stem_shortened(patch: Patch) -> None:
    right = LatticeImages._through

    def wrong(self: LatticeImages, *args: Tensor) -> dict[int, Enclosure]:
        return {anchor: replace(found, centre=0 * found.centre) for anchor, found in right(self, *args).items()}

    patch.setattr(LatticeImages, "_through", wrong)


def weights_large(patch: Patch) -> None:
    right = distance.yardstick_of

    def wrong(*args: Any) -> distance.Yardstick:
        good = right(*args)
        return replace(good, weights=1.2 * good.weights)

    patch.setattr(cells, "yardstick_of", wrong)


def duality(patch: Patch) -> None:
    right = distance._in_l2
    patch.setattr(distance, "_in_l2", lambda middle, reach, c, s: right(middle, reach, c + 0.2 * s.abs().sum(1), s))


def box_narrow(patch: Patch) -> None:
    patch.setattr(Cell, "half", property(lambda self: (self.upper - self.lower) / 4))


def horizon_whole(patch: Patch) -> None:
    right: Any = cells._Part
    patch.setattr(cells, "_Part", lambda *args: right(*args[:-1], True))


def corner_far(patch: Patch) -> None:
    right = Problem.norm_of
    patch.setattr(Problem, "norm_of", lambda self, a: 1.3 * right(self, a))


def half_lost(patch: Patch) -> None:
    right = Frontier.put
    patch.setattr(
        Frontier,
        "put",
        lambda self, cell, estimate, cut: right(self, cell, estimate if cell % 2 == 0 else 1e9, cut),
    )


def half_shifted(patch: Patch) -> None:
    right = Frontier.split

    def wrong(self: Frontier, cell: int, cut: Cut) -> tuple[int, int]:
        lower, upper = right(self, cell, cut)
        self._upper[lower, cut.dimension] -= 2
        self._lower[upper, cut.dimension] += 2
        return lower, upper

    patch.setattr(Frontier, "split", wrong)


#: Mutation, network, space, whether neurons are pulled back.
BOUNDS: list[tuple[Callable[[Patch], None], str, str, bool]] = [
    (twist_halved, "layout", "translation", False),
    (hats_halved, "layout", "translation", False),
    (corners_only, "layout", "translation", False),
    (line_missed, "layout", "translation", False),
    (wrong_sign, "layout", "translation", False),
    (wrong_sign, "conv3d", "affine", False),
    (sides_shared, "layout", "translation", False),
    (shares_swapped, "layout", "translation", False),
    (kind_exchanged, "layout", "translation", False),
    (shared_dropped, "layout", "translation", False),
    (shared_centred, "lstm", "translation", False),
    (refined_sign, "lstm", "translation", True),
    (refined_halved, "lstm", "translation", True),
    (affine_error, "conv2d deep", "affine", False),
    (planes_halved, "rnn", "translation", False),
    (maximum_favourite, "max pool", "translation", False),
    (stem_shortened, "layout", "translation", False),
    (box_narrow, "conv3d", "affine", False),
]

#: Mutation, norm.
GAMES: list[tuple[Callable[[Patch], None], Norm]] = [
    (weights_large, Norm.L1),
    (duality, Norm.L2),
    (horizon_whole, Norm.L2),
    (corner_far, Norm.LINF),
    (half_lost, Norm.L2),
    (half_shifted, Norm.L1),
]


@pytest.mark.parametrize(
    ("mutation", "network", "kind", "refined"), BOUNDS, ids=[f"{case[0].__name__}, {case[2]}" for case in BOUNDS]
)
def test_a_wrong_bound_is_caught(
    mutation: Callable[[Patch], None], network: str, kind: str, refined: bool, monkeypatch: Patch
) -> None:
    assert _worst(network, kind, refined) <= TOLERANCE[True]
    mutation(monkeypatch)
    assert _worst(network, kind, refined) > TOLERANCE[True] * 100


@pytest.mark.parametrize(("mutation", "norm"), GAMES, ids=[case[0].__name__ for case in GAMES])
def test_a_wrong_estimate_is_caught(mutation: Callable[[Patch], None], norm: Norm, monkeypatch: Patch) -> None:
    assert _played(norm) <= 0
    mutation(monkeypatch)
    assert _played(norm) > 1e-3


def _worst(network: str, kind: str, refined: bool) -> float:
    """By how much anything leaves what was told of a network's cells."""
    problem = make_problem(network, kind, flows=(1, 2))
    lower, upper = some_cells(problem.space.dimensions, seed=1, size=0.7)
    whole = lower.round()
    lower, upper = torch.cat([lower, whole - 5e-4]), torch.cat([upper, whole + 0.3])  # and where lines nearly are sides
    value = worst_value(problem, lower, upper, refined, count=6, seed=1)
    return max(value, worst_margin(problem, lower, upper, refined, count=24, seed=1))


def _played(norm: Norm) -> float:
    """By how much an estimate, or the lower bound, is above the nearest example of the grid."""
    game = make_game("relu", norm, 4, 5, seed=3)
    search = CellSearch(game.problem, limit=None)
    worst = -float("inf")
    for _ in range(30):
        search.step(None, unchecked)
        worst = max(worst, search.lower - game.nearest, estimate_excess(game, search))
    return worst
