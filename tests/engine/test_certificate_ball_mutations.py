"""Deliberately wrong rules of the checker must be noticed by the referee of its tests: who guards it guards the product.

Mutations, one a test case:
  knots-left          where a clamp bends is not looked at
  tanh-straight       tanh does not bend between the points of the grid
  exp-lower           exp bends as much as at the lower end
  softplus-jump       softplus is taken for its curve beyond the threshold, where torch has the identity
  gate-straight       the function of two variables is the bilinear one through the corners
  planes-swapped      the upper plane bounds from below, and the lower one from above
  above-left          no other element of a window exceeds the favourite
  rival-low           another element exceeds the favourite by no more than its lower end
  padding-wins        the padding of a window counts as its first element
  convolution-moved   the transpose of a convolution is placed one pixel off
  transposed-turned   a transposed convolution is pulled back as if it were a convolution
  shift-left          biases do not count
  repeats-left        of elements that are broadcast the first one counts
  readers-left        of several readers of a value one counts
  interval-halved     boxes are half as wide on their way through affine operations
  refined-upper       upper bounds are lower ones
  flows-alone         n flows displace a pixel as far as one of them does
  later-left          a flow moves the next frame only, not all later ones
  kinks-left          the kink term k |D| is dropped
  one-side            slopes for D > 0 are used for D < 0 as well
  own-column          the slope along y is taken on the pixel's own column
  near-slopes         slopes are those of the first step
  far-slopes          and those of the frame's far side hold beyond
  near-budget         the last budget's zone has the first one's slopes
  window-small        pixels one step nearer than the reach are looked at
  norm-own            the dual norm is the norm itself
  spread-left         kinks do nothing in spaces of blocks
  still-moving        which pixels move is read from the other end of the row
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.ball_referee import (
    far_affine_excess,
    make_frames,
    worst_curve,
    worst_excess,
    worst_functional,
    worst_maximum,
    worst_plane,
)
from verification.engine.certificate import ball_checker, curves, dual, planes, pull
from verification.engine.certificate import reached as reach
from verification.engine.certificate.planes import Planes
from verification.engine.certificate.pull import Favourites, Pull
from verification.engine.certificate.reached import ReachedByFlow
from verification.engine.network.graph import Node
from verification.engine.network.operations.base import Operation
from verification.engine.network.operations.clamp import Clamp
from verification.engine.network.operations.convolution import Convolution
from verification.engine.network.operations.exponential import Exp, Softplus
from verification.engine.network.operations.gate import Gate
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.sigmoid import Tanh
from verification.engine.perturbation import Norm

Patch = pytest.MonkeyPatch
Probe = Callable[[], float]


def change_curve(patch: Patch, operation: type[Operation], **wrong: object) -> None:
    """Replace fields of an operation's curve."""
    right = curves._CURVES[operation]
    patch.setitem(curves._CURVES, operation, lambda one: replace(right(one), **wrong))  # type: ignore[arg-type]


def change(patch: Patch, place: object, name: str, wrong: Callable[..., Any]) -> None:
    """Replace a function or a method; `wrong` is given the right one first."""
    right = getattr(place, name)
    patch.setattr(place, name, lambda *args: wrong(right, *args))


def knots_left(patch: Patch) -> None:
    change_curve(patch, Clamp, knots=())


def tanh_straight(patch: Patch) -> None:
    change_curve(patch, Tanh, bends=lambda lower, _: torch.zeros_like(lower))


def exp_lower(patch: Patch) -> None:
    change_curve(patch, Exp, bends=lambda lower, _: lower.exp())


def softplus_jump(patch: Patch) -> None:
    change_curve(patch, Softplus, blur=None)


def gate_straight(patch: Patch) -> None:
    patch.setattr(planes, "_bends", lambda _, boxes: (torch.zeros_like(boxes[0][0]),) * 2)


def planes_swapped(patch: Patch) -> None:
    def wrong(right: Any, self: Pull, node: Node, good: Planes, a: Tensor) -> Any:
        return right(self, node, Planes(good.upper, good.above, good.lower, good.below), a)

    change(patch, Pull, "_planes", wrong)


def above_left(patch: Patch) -> None:
    def wrong(right: Any, operation: MaxPool, box: Any) -> Favourites:
        good: Favourites = right(operation, box)
        return replace(good, above=0 * good.above)

    change(patch, ball_checker, "_favourites", wrong)


def rival_low(patch: Patch) -> None:
    def wrong(right: Any, operation: MaxPool, box: tuple[Tensor, Tensor]) -> Favourites:
        good: Favourites = right(operation, box)
        return replace(good, above=right(operation, (box[0], box[0])).above)

    change(patch, ball_checker, "_favourites", wrong)


def padding_wins(patch: Patch) -> None:
    change(patch, MaxPool, "windows", lambda right, self, x: right(self, x).clamp(min=0))


def convolution_moved(patch: Patch) -> None:
    change(patch, pull, "_deconvolved", lambda right, *args: right(*args).roll(1, -1))


def transposed_turned(patch: Patch) -> None:
    def wrong(right: Any, operation: Operation, zeros: Sequence[Tensor], a: Tensor) -> Any:
        if isinstance(operation, Convolution):
            return [pull._deconvolved(operation, zeros[0].shape, a)]
        return right(operation, zeros, a)

    change(patch, pull, "_transposed", wrong)


def shift_left(patch: Patch) -> None:
    def wrong(right: Any, self: Pull, number: int, node: Node, a: Tensor) -> Any:
        pulled, added = right(self, number, node, a)
        return pulled, added if number in self.relaxations else 0 * added

    change(patch, Pull, "_through", wrong)


def repeats_left(patch: Patch) -> None:
    def wrong(_: Any, part: Tensor, shape: Sequence[int]) -> Tensor:
        for axis, size in enumerate(shape, start=1):
            part = part.narrow(axis, 0, size)
        return part

    change(patch, pull, "_fitted", wrong)


def readers_left(patch: Patch) -> None:
    def wrong(right: Any, self: Pull, value: int, parts: list[Tensor]) -> Tensor:
        parts[1:] = [0 * part for part in parts[1:]]
        lost: Tensor = right(self, value, parts)
        return lost

    change(patch, Pull, "_joined", wrong)


def interval_halved(patch: Patch) -> None:
    def wrong(right: Any, box: Any) -> Any:
        good = right(box)
        return replace(good, error=good.error / 2)

    change(patch, ball_checker, "_form", wrong)
    patch.setattr(ball_checker._Walk, "_refine", lambda self, value, reader: None)


def refined_upper(patch: Patch) -> None:
    def wrong(right: Any, self: Any, value: int, functionals: Tensor) -> Tensor:
        if value == len(self.graph.nodes):
            return right(self, value, functionals)
        return right(self, value, functionals.abs()) * functionals.flatten(1).sum(1).sign()

    change(patch, ball_checker._Walk, "_least", wrong)


def flows_alone(patch: Patch) -> None:
    def wrong(right: Any, self: ReachedByFlow, radius: float) -> list[float]:
        step = radius * self.space.stride(self.norm)
        return [min(far, step) for far in right(self, radius)]

    change(patch, ReachedByFlow, "_reach", wrong)


def later_left(patch: Patch) -> None:
    def wrong(_: Any, rates: Tensor, first: int) -> Tensor:
        return torch.stack([rates[:, max(0, flow + 1 - first)] for flow in range(first + rates.shape[1] - 1)], 1)

    change(patch, reach, "_of_flows", wrong)


def kinks_left(patch: Patch) -> None:
    def wrong(right: Any, *args: Any) -> tuple[Tensor, Tensor]:
        signed, spread = right(*args)
        return signed, 0 * spread

    change(patch, reach, "_rates", wrong)


def one_side(patch: Patch) -> None:
    change(patch, reach, "_sided", lambda right, *args: right(*args)[:2] * 2)


def own_column(patch: Patch) -> None:
    change(patch, reach, "_sided", lambda right, frame, far, beside: right(frame, far, 0.0))


def near_slopes(patch: Patch) -> None:
    change(patch, reach, "_slopes", lambda right, frame, far: right(frame, min(far, 0.9)))


def far_slopes(patch: Patch) -> None:
    change(patch, reach, "_slopes", lambda right, frame, far: right(frame, min(far, float(max(frame.shape[1:])))))


def near_budget(patch: Patch) -> None:
    change(patch, dual, "_shared", lambda right, slopes, budgets: right(slopes[:1].expand_as(slopes), budgets))


def window_small(patch: Patch) -> None:
    change(
        patch,
        reach,
        "_greatest",
        lambda right, frame, rows, columns: right(frame, max(rows - 1, 0), max(columns - 1, 0)),
    )


def norm_own(patch: Patch) -> None:
    patch.setattr(Norm, "dual", property(lambda self: self))


def spread_left(patch: Patch) -> None:
    def wrong(right: Any, self: dual.Dual, signed: Tensor, spread: Tensor, at: Any) -> Tensor:
        most: Tensor = right(self, signed, 0 * spread, at)
        return most

    change(patch, dual.Dual, "_of_coordinates", wrong)


def still_moving(patch: Patch) -> None:
    def wrong(right: Any, self: dual.Dual, falls: Any, at: Any) -> Tensor:
        flipped = [(signed.flip(-1), spread.flip(-1)) for signed, spread in falls]
        sizes: Tensor = right(self, flipped, at)
        return sizes

    change(patch, dual.Dual, "_of_pixels", wrong)


def curve(operation: Operation) -> Probe:
    return lambda: worst_curve(operation, seed=1)


def plane(operation: Operation) -> Probe:
    return lambda: worst_plane(operation, span=3.0, seed=1)


def functional(
    kind: str,
    norm: Norm,
    radius: float,
    flows: tuple[int, ...] | None = None,
    picture: Callable[[], Tensor] = lambda: make_frames(1, (4, 3, 5, 7)),
) -> Probe:
    return lambda: worst_functional(picture(), kind, norm, radius, flows, seed=1)


def board() -> Tensor:
    """Frames whose every pixel is brighter than all its neighbours, or darker."""
    number = torch.arange(5).view(5, 1) + torch.arange(7)
    return (number % 2).double().expand(4, 3, 5, 7)


def slant() -> Tensor:
    """Frames that rise slowly from the right border on, and then at once."""
    return torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.05, 0.0], dtype=torch.float64).expand(4, 3, 5, 7)


def network(name: str, kind: str, norm: Norm, radius: float) -> Probe:
    return lambda: worst_excess(name, kind, norm, radius, count=4)


def maximum() -> float:
    return max(worst_maximum(MaxPool((3, 2), (2, 2), (1, 1), (1, 2), ceil=True), seed) for seed in range(4))


#: Mutation, what must notice it.
CASES: list[tuple[Callable[[Patch], None], Probe]] = [
    (knots_left, curve(Clamp(-0.3, 0.4))),
    (tanh_straight, curve(Tanh())),
    (exp_lower, curve(Exp())),
    (softplus_jump, curve(Softplus(2.0, 1.0))),
    (gate_straight, plane(Gate(squashed=True))),
    (planes_swapped, network("over frames", "pixels", Norm.LINF, 0.2)),
    (above_left, maximum),
    (rival_low, maximum),
    (padding_wins, maximum),
    (convolution_moved, network("convolutions", "pixels", Norm.LINF, 0.05)),
    (transposed_turned, network("transposed", "pixels", Norm.LINF, 0.01)),
    (shift_left, network("linear", "pixels", Norm.LINF, 1e-4)),
    (repeats_left, network("broadcast", "pixels", Norm.LINF, 0.02)),
    (readers_left, network("joined", "pixels", Norm.LINF, 0.02)),
    (interval_halved, network("convolutions", "pixels", Norm.LINF, 0.05)),
    (refined_upper, network("convolutions", "pixels", Norm.LINF, 0.05)),
    (flows_alone, functional("dense", Norm.LINF, 0.9)),
    (later_left, functional("dense", Norm.LINF, 0.3)),
    (kinks_left, functional("dense", Norm.LINF, 0.3, picture=board)),
    (one_side, functional("dense", Norm.LINF, 0.9)),
    (own_column, functional("dense", Norm.LINF, 0.9)),
    (near_slopes, functional("translation", Norm.LINF, 2.5, picture=slant)),
    (far_slopes, far_affine_excess),
    (near_budget, functional("dense", Norm.L2, 2.5, (3,), slant)),
    (window_small, functional("dense", Norm.LINF, 0.9)),
    (norm_own, functional("pixels", Norm.LINF, 0.05)),
    (spread_left, functional("blocks:2x2", Norm.LINF, 0.3)),
    (still_moving, functional("moving:0.5", Norm.L1, 0.5, (3,), board)),
]


@pytest.mark.parametrize(("mutation", "probe"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_wrong_rule_is_caught(mutation: Callable[[Patch], None], probe: Probe, monkeypatch: Patch) -> None:
    assert probe() <= 1e-12
    mutation(monkeypatch)
    assert probe() > 1e-6
