"""Deliberately wrong relaxations must be noticed by the referee of the soundness tests: who guards it guards the product.

Mutations, one a test case:
  relu-lower        the lower plane of an undecided ReLU is the chord (an upper bound)
  relu-chord        the chord starts at half the interval
  sigmoid-extreme   the intercept looks at the ends of the interval only, not at the points of equal slope
  tanh-mirrored     the lower plane takes the upper plane's intercept
  gate-bend         the plane of a gate trusts its grid: what may happen between the points is forgotten
  gate-factor       the planes of a gate's factors are put into the product without regard to signs
  product-plane     McCormick's lower plane with the intercept of the upper one
  pieces-tangent    the curved side of a piece looks at its ends only
  pieces-short      the last piece is forgotten
  gelu-turn         GELU is taken for convex up to 2 instead of the root of 2
  softplus-jump     softplus is taken for its curve beyond the threshold, where torch has the identity
  power-bend        an odd power is taken for convex everywhere
  kinked-left       the slope on the left loses its sign
  square-interval   the interval of a square looks at its ends only
  maxpool-dilation  the elements of a window are taken side by side
  transposed-start  windows of a transposed convolution are moved by the padding in the wrong direction
  take-repeated     an element taken twice counts once
  constant-lost     constants that are joined to a node do not count
  maxpool-upper     the upper plane is the first element of the window
  maxpool-chord     the chord above the favourite begins at zero instead of the least difference
  maxpool-rivals    what is asked about a rival is by how much the favourite exceeds it
  pooled-planes     pooling and convolution in one step use the lower planes on both sides
  pooled-constant   and forget the bias and the upper planes' constants
  narrow-kernel     a window of one channel is pulled back through the first channel's kernel
  rows-misplaced    the bounds of single elements are given to their neighbours
  pixel-range       a pixel's range is half of what its slopes allow
  conv-padding      windows are not moved by the padding
  conv-clipping     coefficients on padding reach real pixels
  sum-interval      the interval of a sum ignores its second input
  warp-spread       the kink term k |D| is dropped
  warp-one-side     slopes of the side D > 0 are used for D < 0 as well
  warp-reach        windows are half as large as the displacement
  warp-across       the slope along y is taken on the centre column only
  warp-later        a flow moves the next frame only, not all later ones
  warp-bends        slopes are taken at the middle of their range within reach
  budget-near       the slopes of the smallest budget are used for every budget
  budget-multiplier the radius is not paid for
  copies            flows before the window count once instead of each
  norm-dense        the dual norm is the norm itself
  norm-blocks       the scale of the blocks' norm is taken off twice
  blocks-spread     the kink term is dropped in blocks
  copies-shifted    which pixels move is read from the other end of the row
  still             pixels that one flow alone moves count as standing still
  affine-fields     shifts alone count, and neither stretch nor turn
  affine-corner     displacements are those in the middle of the picture
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.bounding import (
    TOLERANCE,
    far_edge_violation,
    flow_region,
    make_frames,
    make_graph,
    radius_for,
    worst_plane,
    worst_violation,
)
from verification.engine.bounds import warp
from verification.engine.bounds.budget import shared_fall
from verification.engine.network.operations import gate, piecewise, pooled_convolution
from verification.engine.network.operations.arithmetic import Add
from verification.engine.network.operations.base import Elementwise, Pulled, Site
from verification.engine.network.operations.clamp import Clamp
from verification.engine.network.operations.constant import Constant
from verification.engine.network.operations.convolution import Convolution
from verification.engine.network.operations.exponential import Exp, Softplus
from verification.engine.network.operations.gated import Gelu, Hardswish, Silu, TanhGelu
from verification.engine.network.operations.gather import Take
from verification.engine.network.operations.kinked import Kinked
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.piecewise import Piece, Piecewise, straight
from verification.engine.network.operations.pooled_convolution import PooledConvolution
from verification.engine.network.operations.power import Power
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.sigmoid import Sigmoid, SShaped, Tanh
from verification.engine.network.operations.transposed import TransposedConvolution
from verification.engine.perturbation import Norm
from verification.engine.perturbation.spaces import Affine, Blocks, Dense, FlowSpace
from verification.engine.relaxation import Form, Interval, Planes, Rounding

Patch = pytest.MonkeyPatch


def change_planes(patch: Patch, operation: type[Elementwise], **wrong: Callable[[Planes], Any]) -> None:
    """Replace fields of the planes that `operation` gives."""
    right = operation.planes

    def planes(self: Elementwise, rounding: Rounding, *boxes: Interval) -> Planes:
        good = right(self, rounding, *boxes)
        return replace(good, **{name: of(good) for name, of in wrong.items()})

    patch.setattr(operation, "planes", planes)


def relu_lower(patch: Patch) -> None:
    change_planes(patch, Relu, lower_slopes=lambda p: p.upper_slopes, lower_intercept=lambda p: p.upper_intercept)


def relu_chord(patch: Patch) -> None:
    change_planes(patch, Relu, upper_intercept=lambda p: p.upper_intercept / 2)


def sigmoid_extreme(patch: Patch) -> None:
    def wrong(self: SShaped, lower: Tensor, upper: Tensor, slope: Tensor, highest: bool) -> Tensor:
        ends = torch.stack([self.concrete(x) - slope * x for x in (lower, upper)])
        return ends.amax(0) if highest else ends.amin(0)

    patch.setattr(SShaped, "_extreme", wrong)


def tanh_mirrored(patch: Patch) -> None:
    change_planes(patch, Tanh, lower_intercept=lambda p: p.upper_intercept)


def product_plane(patch: Patch) -> None:
    change_planes(patch, Product, lower_intercept=lambda p: p.upper_intercept)


def gate_bend(patch: Patch) -> None:
    patch.setattr(gate, "_SIGMOID_CURVATURE", 0.0)
    patch.setattr(gate, "_TANH_CURVATURE", 0.0)


def gate_factor(patch: Patch) -> None:
    right = gate.Gate._chained

    def wrong(self: gate.Gate, rounding: Rounding, *boxes: Interval) -> Planes:
        good = right(self, rounding, *boxes)
        return replace(good, lower_slopes=(good.upper_slopes[0], good.lower_slopes[1]))

    patch.setattr(gate.Gate, "_chained", wrong)


def pieces_tangent(patch: Patch) -> None:
    right = piecewise._piece_highest

    def wrong(piece: Piece, first: Tensor, last: Tensor, slope: Tensor, sign: int) -> tuple[Tensor, Tensor]:
        return right(replace(piece, bend=0), first, last, slope, sign)

    patch.setattr(piecewise, "_piece_highest", wrong)


def change_pieces(patch: Patch, operation: type[Piecewise], wrong: Callable[[tuple[Piece, ...]], Any]) -> None:
    """Replace the pieces that `operation` consists of."""
    right = operation.pieces
    patch.setattr(operation, "pieces", lambda self: tuple(wrong(right(self))))


def pieces_short(patch: Patch) -> None:
    change_pieces(patch, Clamp, lambda pieces: (*pieces[:-2], replace(pieces[-2], end=math.inf)))


def gelu_turn(patch: Patch) -> None:
    ends = ((-math.inf, -2.0), (-2.0, 2.0), (2.0, math.inf))
    change_pieces(
        patch, Gelu, lambda pieces: (replace(p, start=a, end=b) for p, (a, b) in zip(pieces, ends, strict=True))
    )


def softplus_jump(patch: Patch) -> None:
    change_pieces(patch, Softplus, lambda pieces: [replace(pieces[0], end=math.inf)])


def power_bend(patch: Patch) -> None:
    change_pieces(patch, Power, lambda pieces: [replace(pieces[-1], start=-math.inf)])


def kinked_left(patch: Patch) -> None:
    def wrong(self: Kinked) -> tuple[Piece, ...]:
        return straight(-math.inf, 0.0, self.left.abs()), straight(0.0, math.inf, 1.0)

    patch.setattr(Kinked, "pieces", wrong)


def square_interval(patch: Patch) -> None:
    def wrong(self: Power, rounding: Rounding, *boxes: Interval) -> Interval:
        a, b = self.concrete(boxes[0].lower), self.concrete(boxes[0].upper)
        return Interval(torch.minimum(a, b), torch.maximum(a, b))

    patch.setattr(Power, "interval", wrong)


def maxpool_dilation(patch: Patch) -> None:
    right = MaxPool.backward
    patch.setattr(MaxPool, "backward", lambda self, *args: right(replace(self, dilation=(1,) * self.rank), *args))


def transposed_start(patch: Patch) -> None:
    right = TransposedConvolution._pull

    def wrong(self: TransposedConvolution, form: Form) -> tuple[Tensor, Tensor]:
        return right(replace(self, padding=tuple(-p for p in self.padding)), form)

    patch.setattr(TransposedConvolution, "_pull", wrong)


def take_repeated(patch: Patch) -> None:
    def wrong(self: Take, form: Form, place: Tensor, length: int) -> Tensor:
        a, dim = form.coefficients.expand(form.positions, *form.coefficients.shape[1:]), self.axis + 2
        view = [form.positions] + [1] * (a.dim() - 1)
        view[dim] = place.shape[1]
        target = list(a.shape)
        target[dim] = length
        return a.new_zeros(target).scatter_(dim, place.view(view).expand(a.shape), a)

    patch.setattr(Take, "_scattered", wrong)


def constant_lost(patch: Patch) -> None:
    patch.setattr(Constant, "backward", lambda self, form, site: Pulled(()))


def maxpool_upper(patch: Patch) -> None:
    right = MaxPool._prepare

    def wrong(self: MaxPool, site: Site) -> Tensor:
        planes = right(self, site)
        half = (planes.shape[0] - 2) // 2
        planes[half : 2 * half] = 0
        planes[half] = 1
        planes[-2] = 0
        return planes

    patch.setattr(MaxPool, "_prepare", wrong)


def maxpool_chord(patch: Patch) -> None:
    right = MaxPool._prepare

    def wrong(self: MaxPool, site: Site) -> Tensor:
        planes = right(self, site)
        planes[-2] = 0
        return planes

    patch.setattr(MaxPool, "_prepare", wrong)


def maxpool_rivals(patch: Patch) -> None:
    right = MaxPool._differences
    patch.setattr(MaxPool, "_differences", lambda self, a, b, site, sign: right(self, a, b, site, -sign))


def pooled_planes(patch: Patch) -> None:
    right = MaxPool.planes

    def wrong(self: MaxPool, site: Site) -> Tensor:
        planes = right(self, site).clone()
        half = (planes.shape[0] - 2) // 2
        planes[half : 2 * half] = planes[:half]
        planes[-2] = 0
        return planes

    patch.setattr(MaxPool, "planes", wrong)
    patch.setattr(pooled_convolution, "_MANY", 1)


def pooled_constant(patch: Patch) -> None:
    right = PooledConvolution._matrices

    def wrong(self: PooledConvolution, *sites: Site) -> tuple[Tensor, Tensor]:
        matrices, weight = right(self, *sites)
        matrices[..., -1, :] = 0
        return matrices, weight

    patch.setattr(PooledConvolution, "_matrices", wrong)
    patch.setattr(pooled_convolution, "_MANY", 1)


def narrow_kernel(patch: Patch) -> None:
    right = Convolution._pull_channel

    def wrong(self: Convolution, form: Form) -> tuple[Tensor, Tensor]:
        offsets = form.offsets.clone()
        offsets[:, 1] = 0
        return right(self, Form(form.coefficients, offsets, form.shape))

    patch.setattr(Convolution, "_pull_channel", wrong)


def rows_misplaced(patch: Patch) -> None:
    right = Form.units

    def wrong(shape: tuple[int, ...], index: Tensor, *args: Any) -> Form:
        return right(shape, index.roll(1, 0), *args)

    patch.setattr(Form, "units", wrong)


def pixel_range(patch: Patch) -> None:
    right = warp._change
    patch.setattr(warp, "_change", lambda *args: tuple(part / 2 for part in right(*args)))


def conv_padding(patch: Patch) -> None:
    right = Convolution.backward

    def wrong(self: Convolution, form: Form, site: Site) -> Pulled:
        offsets = form.offsets.clone()
        offsets[:, 2:] += torch.tensor(self.padding)
        return right(self, Form(form.coefficients, offsets, form.shape), site)

    patch.setattr(Convolution, "backward", wrong)


def conv_clipping(patch: Patch) -> None:
    def wrong(self: Form) -> Form:
        return self

    patch.setattr(Form, "clipped", wrong)


def sum_interval(patch: Patch) -> None:
    patch.setattr(Add, "interval", lambda self, rounding, *boxes: boxes[0])


def warp_spread(patch: Patch) -> None:
    right = Dense.support
    patch.setattr(Dense, "support", lambda self, g, k, window, norm: right(self, g, torch.zeros_like(k), window, norm))


def warp_one_side(patch: Patch) -> None:
    right = warp._side_extremes

    def wrong(frame: Tensor, reach: float, axis: int, across: float) -> list[Tensor]:
        ahead = right(frame, reach, axis, across)[:2]
        return [*ahead, *ahead]

    patch.setattr(warp, "_side_extremes", wrong)


def warp_reach(patch: Patch) -> None:
    right = FlowSpace.reach
    patch.setattr(FlowSpace, "reach", lambda self, radius, norm: right(self, radius, norm) / 2)


def warp_across(patch: Patch) -> None:
    right = warp._side_extremes
    patch.setattr(warp, "_side_extremes", lambda frame, reach, axis, across: right(frame, reach, axis, 0.0))


def warp_later(patch: Patch) -> None:
    patch.setattr(warp, "_from_each_frame_on", lambda rates: rates)


def warp_bends(patch: Patch) -> None:
    patch.setattr(warp._Zone, "bends", [False, False])


def budget_near(patch: Patch) -> None:
    right = warp.FlowBall._slopes
    patch.setattr(warp.FlowBall, "_slopes", lambda self, budget: right(self, budget / 10))


def budget_multiplier(patch: Patch) -> None:
    patch.setattr(warp, "shared_fall", lambda slopes, budgets: shared_fall(slopes, budgets) / 2)


def copies(patch: Patch) -> None:
    right = FlowSpace.copies
    patch.setattr(FlowSpace, "copies", lambda self, window: right(self, window).clamp(max=1))


def copies_shifted(patch: Patch) -> None:
    right = FlowSpace.copies
    patch.setattr(
        FlowSpace, "copies", lambda self, window: right(self, replace(window, columns=window.columns.flip(1)))
    )


def still(patch: Patch) -> None:
    patch.setattr(warp.FlowBall, "_still", property(lambda self: self.space.before < 2))


def norm_dense(patch: Patch) -> None:
    right = Dense.support
    patch.setattr(Dense, "support", lambda self, g, k, window, norm: right(self, g, k, window, norm.dual))


def norm_blocks(patch: Patch) -> None:
    right = Blocks.support
    patch.setattr(
        Blocks,
        "support",
        lambda self, g, k, window, norm: right(self, g, k, window, norm) / float(self.scales(norm).max()),
    )


def blocks_spread(patch: Patch) -> None:
    right = Blocks.support
    patch.setattr(Blocks, "support", lambda self, g, k, window, norm: right(self, g, torch.zeros_like(k), window, norm))


def affine_fields(patch: Patch) -> None:
    right = Affine._summed
    shifts = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    patch.setattr(Affine, "_summed", lambda self, *args, **kwargs: right(self, *args, **kwargs) * shifts)


def affine_corner(patch: Patch) -> None:
    patch.setattr(Affine, "stride", lambda self, norm: (self.height * self.width) ** (-1 / norm.p))


#: Mutation, network, space, norm, size of the region.
CASES: list[tuple[Callable[[Patch], None], str, str, Norm, float]] = [
    (relu_lower, "conv2d deep", "dense", Norm.LINF, 2.0),
    (product_plane, "lstm", "pixels", Norm.LINF, 4.0),
    (maxpool_dilation, "Pooling", "pixels", Norm.LINF, 0.05),
    (transposed_start, "Transposed", "pixels", Norm.LINF, 1.0),
    (take_repeated, "Rearranged", "pixels", Norm.LINF, 1.0),
    (constant_lost, "Rearranged", "pixels", Norm.LINF, 1.0),
    (maxpool_upper, "less the maxima", "pixels", Norm.LINF, 3.0),
    (maxpool_chord, "pooled strides", "pixels", Norm.LINF, 1.0),
    (maxpool_rivals, "pooled strides", "pixels", Norm.LINF, 1.0),
    (pooled_planes, "pooled strides", "pixels", Norm.LINF, 1.0),
    (pooled_constant, "pooled strides", "pixels", Norm.LINF, 1.0),
    (narrow_kernel, "pooled convolutions", "dense", Norm.L2, 0.3),
    (rows_misplaced, "pooled convolutions", "dense", Norm.L2, 0.3),
    (pixel_range, "linear", "dense", Norm.LINF, 1.0),
    (conv_padding, "conv3d", "dense", Norm.L2, 1.0),
    (conv_clipping, "conv3d", "dense", Norm.L2, 1.0),
    (sum_interval, "residual", "pixels", Norm.LINF, 1.0),
    (warp_spread, "linear", "dense", Norm.LINF, 1.0),
    (warp_one_side, "conv3d", "dense", Norm.LINF, 4.0),
    (warp_reach, "linear", "translation", Norm.LINF, 8.0),
    (warp_across, "conv3d", "translation", Norm.LINF, 6.0),
    (warp_later, "conv3d", "dense", Norm.LINF, 1.0),
    (warp_bends, "conv3d", "translation", Norm.LINF, 12.0),
    (budget_multiplier, "linear", "dense", Norm.L2, 1.0),
    (copies, "conv3d", "dense", Norm.LINF, 1.0),
    (norm_dense, "linear", "dense", Norm.LINF, 1.0),
    (norm_blocks, "conv3d", "blocks:2x3", Norm.L2, 1.0),
    (blocks_spread, "linear", "blocks:2x3", Norm.LINF, 1.0),
    (copies_shifted, "conv3d", "moving:0.5", Norm.LINF, 1.0),
    (still, "linear", "moving:0.5", Norm.LINF, 1.0),
    (affine_fields, "conv2d deep", "affine", Norm.L2, 0.1),
    (affine_corner, "linear", "affine", Norm.L2, 6.0),
]

#: Mutation, operation, its inputs.
PLANES: list[tuple[Callable[[Patch], None], Elementwise, int]] = [
    (relu_lower, Relu(), 1),
    (relu_chord, Relu(), 1),
    (sigmoid_extreme, Sigmoid(), 1),
    (tanh_mirrored, Tanh(), 1),
    (product_plane, Product(), 2),
    (gate_bend, gate.Gate(True), 2),
    (gate_factor, gate.Gate(True), 2),
    (gate_factor, gate.Gate(False), 2),
    *((pieces_tangent, operation, 1) for operation in (Gelu(), TanhGelu(), Silu(), Hardswish(), Exp(), Power(2))),
    (pieces_short, Clamp(-0.3, 0.4), 1),
    (gelu_turn, Gelu(), 1),
    (softplus_jump, Softplus(2.0, 1.0), 1),
    (power_bend, Power(3), 1),
    (kinked_left, Kinked(torch.tensor(-0.7, dtype=torch.float64)), 1),
    (square_interval, Power(2), 1),
]


@pytest.mark.parametrize(
    ("mutation", "network", "kind", "norm", "size"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_a_wrong_relaxation_is_caught(
    mutation: Callable[[Patch], None], network: str, kind: str, norm: Norm, size: float, monkeypatch: Patch
) -> None:
    assert _worst(network, kind, norm, size) <= TOLERANCE[True]
    mutation(monkeypatch)
    assert _worst(network, kind, norm, size) > TOLERANCE[True] * 100


@pytest.mark.parametrize(
    ("mutation", "operation", "arity"), PLANES, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_wrong_planes_are_caught(
    mutation: Callable[[Patch], None], operation: Elementwise, arity: int, monkeypatch: Patch
) -> None:
    assert worst_plane(operation, arity, span=8.0, seed=1) <= 1e-14
    mutation(monkeypatch)
    assert worst_plane(operation, arity, span=8.0, seed=1) > 1e-3


def test_slopes_too_near_are_caught(monkeypatch: Patch) -> None:
    assert far_edge_violation() <= 0
    budget_near(monkeypatch)
    assert far_edge_violation() > 0.1


def _worst(network: str, kind: str, norm: Norm, size: float) -> float:
    """The worst violation over a few clips."""
    graph = make_graph(network, seed=1, gain=2.0)
    worst = -float("inf")
    for seed in range(2):
        region, points = flow_region(
            make_frames(seed), kind, norm, radius_for(kind, norm, size), Rounding(rigorous=True)
        )
        worst = max(worst, worst_violation(graph, region, points, seed, count=30))
    return worst
