"""Deliberately wrong rules for clips that turn, grow and move must be noticed by the referee of their tests.

Mutations, one a test case. Of the search:
  astray-halved      the course leaves its chord by half of what it does
  astray-left        and not at all
  bends-turned       the course is on the other side of its chord
  bows-left          between lines of the lattice values are straight
  bows-halved        half as far from straight
  lines-left         lines of the lattice that are crossed do not matter
  one-line           of several lines of one direction the last one alone matters
  one-direction      columns alone matter, not rows
  hump-halved        between many lines values stay half as near to their own line
  squares-small      the slopes of the last cells on a way are forgotten
  edges-open         frames go on beyond their edges as within
  edges-black        and end in black
  near-far           lines near an end of the way do not count
  error-left         the error of the parameter itself is forgotten
  slope-steep        and its slopes are too steep
Of the checker:
  turns-left         X'' is not looked at
  twists-left        nor F_xy
  speeds-left        nor X' where it changes the slopes
  bend-halved        a second derivative counts half
  lines-missed       lines of the lattice are not seen
  cone-halved        the parallelogram is half as high
  slopes-ends        slopes between many lines are those of the cells at one end
  line-level         what a level line misses is forgotten
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.warp_referee import ROUNDING, noise, ramp, warped, worst_in_cell, worst_in_leaf
from verification.engine.certificate import warped as checker
from verification.engine.network.operations.base import Site
from verification.engine.perturbation.distortions import segment as segments
from verification.engine.perturbation.distortions.courses import Turn, Zoom
from verification.engine.perturbation.distortions.lattice import Lattice
from verification.engine.perturbation.distortions.segment import Segment
from verification.engine.perturbation.distortions.warped import Warped
from verification.engine.relaxation import Enclosure, Interval

Patch = pytest.MonkeyPatch


def change(patch: Patch, owner: Any, name: str, of: Callable[..., Any]) -> None:
    """Replace a method or a property by one that is given the right result first, and then what the right one is given."""
    right = getattr(owner, name)
    if isinstance(right, property):
        assert right.fget is not None
        read = right.fget
        patch.setattr(owner, name, property(lambda self: of(read(self), self)))
    else:
        patch.setattr(owner, name, lambda *args, **said: of(right(*args, **said), *args))


def astray_halved(patch: Patch) -> None:
    change(patch, Segment, "astray", lambda told, _: tuple(end / 2 for end in told))


def astray_left(patch: Patch) -> None:
    change(patch, Segment, "astray", lambda told, _: tuple(0 * end for end in told))


def bends_turned(patch: Patch) -> None:
    for course in (Turn, Zoom):
        change(patch, course, "bends", lambda told, *_: (-told[1], -told[0]))


def bows_left(patch: Patch) -> None:
    change(patch, Lattice, "twists", lambda told, *_: 0 * told)


def bows_halved(patch: Patch) -> None:
    change(patch, Lattice, "twists", lambda told, *_: told / 2)


def lines_left(patch: Patch) -> None:
    right = Segment._nodes
    patch.setattr(Segment, "_nodes", lambda self, first, last: right(self, last, last))


def one_line(patch: Patch) -> None:
    right = Segment._nodes
    patch.setattr(Segment, "_nodes", lambda self, first, last: right(self, torch.maximum(first, last - 1), last))


def one_direction(patch: Patch) -> None:
    right = Segment._nodes

    def wrong(self: Segment, first: Tensor, last: Tensor) -> Any:
        return right(self, torch.cat([first[:, :1], torch.where(last > first, last, first)[:, 1:]], 1), last)

    patch.setattr(Segment, "_nodes", wrong)


def hump_halved(patch: Patch) -> None:
    change(patch, Segment, "_hump", lambda told, *_: told / 2)


def squares_small(patch: Patch) -> None:
    right = Lattice.slopes
    patch.setattr(Lattice, "slopes", lambda self, first, last: right(self, first, torch.minimum(first + 1, last)))


def edges_open(patch: Patch) -> None:
    def wrong(self: Lattice, places: Tensor) -> Tensor:
        return torch.minimum(places.floor(), (self.last - 1).clamp(min=0)).clamp(min=0)

    patch.setattr(Lattice, "cells", wrong)


def edges_black(patch: Patch) -> None:
    right = Lattice.values

    def wrong(self: Lattice, places: Tensor) -> Tensor:
        inside = ((places >= 0) & (places <= self.last)).all(1, keepdim=True)
        return right(self, places) * inside

    patch.setattr(Lattice, "values", wrong)


def near_far(patch: Patch) -> None:
    patch.setattr(segments, "NEAR", 0.05)


def error_left(patch: Patch) -> None:
    right = Warped.enclose
    patch.setattr(
        Warped, "enclose", lambda self, inputs, site: right(self, [replace(inputs[0], error=0 * inputs[0].error)], site)
    )


def slope_steep(patch: Patch) -> None:
    change(patch, Warped, "enclose", lambda told, *_: replace(told, slopes=1.01 * told.slopes))


def change_rates(patch: Patch, of: Callable[..., Any]) -> None:
    change(patch, checker, "_rates", of)


def turns_left(patch: Patch) -> None:
    change_rates(patch, lambda told, *_: (told[0], tuple(0 * end for end in told[1])))


def twists_left(patch: Patch) -> None:
    right = checker._Leaves._within

    def wrong(self: Any, group: Any, width: Tensor, start: Tensor, end: Tensor) -> Any:
        still = tuple(torch.zeros_like(part) for part in group.speed)
        return right(self, replace(group, speed=still), width, start, end)

    patch.setattr(checker._Leaves, "_within", wrong)


def speeds_left(patch: Patch) -> None:
    right = checker._Leaves._across

    def wrong(self: Any, group: Any, width: Tensor, start: Tensor, end: Tensor) -> Any:
        slow = tuple(part / 2 for part in group.speed)
        return right(self, replace(group, speed=slow), width, start, end)

    patch.setattr(checker._Leaves, "_across", wrong)


def bend_halved(patch: Patch) -> None:
    change(patch, checker._Leaves, "_within", lambda told, *_: tuple(end / 2 for end in told))


def lines_missed(patch: Patch) -> None:
    patch.setattr(checker._Leaves, "_across", checker._Leaves._within)


def cone_halved(patch: Patch) -> None:
    right = checker._Leaves._cone
    patch.setattr(checker._Leaves, "_cone", staticmethod(lambda *args: tuple(end / 2 for end in right(*args))))


def slopes_ends(patch: Patch) -> None:
    patch.setattr(checker._Leaves, "_anywhere", checker._Leaves._across)


def line_level(patch: Patch) -> None:
    right = checker.line_of
    patch.setattr(
        "verification.engine.certificate.forms.line_of",
        lambda *args: replace(right(*args), slope=0 * right(*args).slope),
    )


#: Mutation, kind, lower and upper end of the parameter, frames.
SEARCH: list[tuple[Callable[[Patch], None], str, float, float, str]] = [
    (astray_halved, "scale", 0.70, 0.80, "ramp"),
    (astray_left, "rotation", 85.0, 89.0, "ramp"),
    (bends_turned, "scale", 0.70, 0.80, "ramp"),
    (bows_left, "scale", 0.70, 0.80, "noise"),
    (bows_halved, "rotation", 31.0, 36.0, "noise"),
    (lines_left, "rotation", 30.0, 40.0, "noise"),
    (lines_left, "speed", 0.0, 0.2, "noise"),
    (one_line, "rotation", 30.0, 45.0, "noise"),
    (one_direction, "rotation", 30.0, 40.0, "noise"),
    (hump_halved, "scale", -1.0, 0.0, "tents"),
    (squares_small, "scale", -1.0, 0.0, "stripes"),
    (edges_open, "scale", -0.4, 0.1, "noise"),
    (edges_black, "rotation", 5.0, 15.0, "noise"),
    (near_far, "rotation", 30.0, 33.0, "noise"),
    (slope_steep, "scale", 0.70, 0.80, "noise"),
]

CHECKER: list[tuple[Callable[[Patch], None], str, float, float, str]] = [
    (turns_left, "scale", 0.70, 0.80, "ramp"),
    (twists_left, "scale", 0.70, 0.80, "noise"),
    (speeds_left, "rotation", 30.0, 40.0, "noise"),
    (bend_halved, "rotation", 31.0, 36.0, "noise"),
    (lines_missed, "rotation", 30.0, 40.0, "noise"),
    (cone_halved, "rotation", 30.0, 40.0, "noise"),
    (slopes_ends, "rotation", 10.0, 60.0, "noise"),
    (line_level, "scale", 0.70, 0.80, "noise"),
]


def _operation(kind: str, frames: str) -> Warped:
    columns = torch.arange(40, dtype=torch.float64).expand(2, 3, 3, 40)
    pictures = {
        "ramp": ramp(9, 10),
        "noise": noise(8, 9, seed=1),
        "tents": (columns % 20 - 10).abs() / 10,
        "stripes": (columns % 20 >= 10).double(),
    }
    return warped(kind, pictures[frames], seed=1)


@pytest.mark.parametrize(
    ("mutation", "kind", "lower", "upper", "frames"), SEARCH, ids=lambda x: getattr(x, "__name__", "")
)
def test_a_wrong_enclosure_is_caught(
    mutation: Callable[[Patch], None], kind: str, lower: float, upper: float, frames: str, monkeypatch: Patch
) -> None:
    assert worst_in_cell(_operation(kind, frames), lower, upper, count=400) <= 0
    mutation(monkeypatch)
    assert worst_in_cell(_operation(kind, frames), lower, upper, count=400) > 1e-6


@pytest.mark.parametrize(
    ("mutation", "kind", "lower", "upper", "frames"), CHECKER, ids=lambda x: getattr(x, "__name__", "")
)
def test_a_wrong_form_is_caught(
    mutation: Callable[[Patch], None], kind: str, lower: float, upper: float, frames: str, monkeypatch: Patch
) -> None:
    assert worst_in_leaf(_operation(kind, frames), lower, upper, count=400) <= 0
    mutation(monkeypatch)
    assert worst_in_leaf(_operation(kind, frames), lower, upper, count=400) > 1e-6


def test_a_parameter_without_its_error_is_caught(monkeypatch: Patch) -> None:
    assert _off() <= 0
    error_left(monkeypatch)
    assert _off() > 1e-6


def _off() -> float:
    """By how much the pixels leave the enclosure where the parameter is all error."""
    operation = _operation("scale", "noise")
    box = Interval(*torch.tensor([0.3, 0.4], dtype=torch.float64).view(2, 1, 1))
    p = Enclosure(box.centre, torch.zeros((1, 1, 1), dtype=torch.float64), box.radius)
    told = operation.enclose([p], Site(((1, 1),), (box,), ROUNDING))
    return float(((operation.concrete(box.upper) - told.centre).abs() - told.error).max())
