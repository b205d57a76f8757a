"""What the checker knows of a value over a leaf: an affine form, and one rule for each kind of operation.

This is the checker's own arithmetic, forward only, in float64 with all rounding errors counted. It shares nothing with
the relaxations of `engine.relaxation` and of the operations; of an operation it uses the function itself and its linear part
(docs/bounds.md, "Certificates").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from verification.engine.certificate.curves import EVALUATED, Curve, curve_of
from verification.engine.certificate.warped import line_of
from verification.engine.errors import UnsupportedOperationError
from verification.engine.network.operations import arithmetic, constant, convolution, linear, max_pool, reduction
from verification.engine.network.operations.base import Operation, Rearrangement
from verification.engine.network.operations.gate import Gate
from verification.engine.network.operations.gated import Silu
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.relu import Relu
from verification.engine.network.operations.sigmoid import Sigmoid, Tanh
from verification.engine.perturbation.distortions.warped import Warped

_UNIT = 2.0**-53
_TINY = 1e-200  # more than all underflows of one value's terms together, while they stay below `LARGEST`
#: A proof that meets a larger number is none.
LARGEST = 1e100


def gamma(terms: int) -> float:
    """Relative error of a sum of `terms` products in any order, four times over for the error's own rounding."""
    return 4 * (terms + 64) * _UNIT


@dataclass(frozen=True)
class AffineForm:
    """`x = centre + sum_g z_g slopes[g] + e` with symbols `z` in [-1, 1], the same for all values of a leaf, and `|e| <= error`.

    For B leaves: `centre`, `error` (B, *shape), `slopes` (B, G, *shape). Symbols that came later have zero slopes. `loose`:
    whether the error is more than rounding.
    """

    centre: Tensor
    slopes: Tensor
    error: Tensor
    loose: bool

    @property
    def spread(self) -> Tensor:
        """How far x may be from the centre, before the rounding of this sum."""
        return self.slopes.abs().sum(1) + self.error

    @property
    def size(self) -> Tensor:
        """What relative errors are relative to."""
        return self.centre.abs() + self.spread

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """The least and the greatest value, rounded outward."""
        reach = self.spread + gamma(self.slopes.shape[1]) * self.size
        return self.centre - reach, self.centre + reach

    def times(self, factor: float) -> "AffineForm":
        """A multiple by a power of two, which is exact."""
        return AffineForm(factor * self.centre, factor * self.slopes, abs(factor) * self.error, self.loose)

    def with_symbols(self, count: int) -> "AffineForm":
        """The same with `count` symbols, the new ones without slopes."""
        missing = count - self.slopes.shape[1]
        slopes = pad(self.slopes, (0, 0) * (self.centre.dim() - 1) + (0, missing)) if missing else self.slopes
        return replace(self, slopes=slopes)

    def named(self, symbols: int) -> "AffineForm":
        """The errors of all elements as symbols of their own, numbered from `symbols` on: so they can cancel out later."""
        before, elements = self.with_symbols(symbols), self.error[0].numel()
        own = torch.diag_embed(self.error.flatten(1)).view(len(self.error), elements, *self.error.shape[1:])
        return AffineForm(self.centre, torch.cat([before.slopes, own], 1), torch.zeros_like(self.error), False)


_Rule = Callable[[Operation, Sequence[AffineForm]], AffineForm]


def image_of(operation: Operation, inputs: Sequence[AffineForm]) -> AffineForm:
    """The form of an operation's output. Raises UnsupportedOperationError where there is no rule."""
    for kind, rule in _RULES:
        if isinstance(operation, kind):
            symbols = max((x.slopes.shape[1] for x in inputs), default=0)
            return rule(operation, [x.with_symbols(symbols) for x in inputs])
    curve = curve_of(operation)
    if curve is None:
        raise UnsupportedOperationError(f"cannot check: operation {type(operation).__name__}")
    return _curved(curve, inputs[0])


def sizes_of(operation: Operation, sizes: Sequence[Tensor]) -> Tensor:
    """`|W| |x| + |b|` of an affine operation `W x + b`, where the inputs' absolute values are at most `sizes`; rounded up."""
    if isinstance(operation, Rearrangement):
        return operation.concrete(*sizes)
    part = operation.linear_part()
    assert part is not None
    shift = operation.concrete(*(torch.zeros_like(size) for size in sizes)).abs()
    terms = sum(size.numel() for size in sizes)
    return (_absolute(part).concrete(*sizes) + shift) * (1 + gamma(terms)) + _TINY


def _each(operation: Operation, inputs: Sequence[Tensor]) -> Tensor:
    """An operation applied to tensors (B, N, *shape) one by one."""
    if not inputs[0].shape[1]:
        shape = operation.output_shape(*(tuple(x.shape[2:]) for x in inputs))
        return inputs[0].new_zeros((*inputs[0].shape[:2], *shape))
    return torch.vmap(operation.concrete)(*(x.flatten(0, 1) for x in inputs)).unflatten(0, inputs[0].shape[:2])


def _moved(operation: Operation, inputs: Sequence[AffineForm]) -> AffineForm:
    """Elements only change their places: nothing is computed."""
    centre, error = _each(operation, [torch.stack([x.centre, x.error], 1) for x in inputs]).unbind(1)
    slopes = _each(operation, [x.slopes for x in inputs])
    return AffineForm(centre, slopes, error, any(x.loose for x in inputs))


def _affine(operation: Operation, inputs: Sequence[AffineForm]) -> AffineForm:
    """Centre and slopes exactly but for rounding; errors go through the absolute values of the weights."""
    part = operation.linear_part()
    assert part is not None
    absolute = _absolute(part)
    centre = _each(operation, [x.centre.unsqueeze(1) for x in inputs])[:, 0]
    slopes = _each(part, [x.slopes for x in inputs])
    error, size = _each(absolute, [torch.stack([x.error, x.size], 1) for x in inputs]).unbind(1)
    shift = operation.concrete(*(torch.zeros_like(x.centre[0]) for x in inputs)).abs()
    rounding = gamma(sum(x.centre[0].numel() for x in inputs) + slopes.shape[1])
    error = (error + rounding * (size + shift) + _TINY) * (1 + rounding)
    return AffineForm(centre, slopes, error, any(x.loose for x in inputs))


def _absolute(part: Operation) -> Operation:
    """The linear operation whose weights are the absolute values of those of `part`."""
    if isinstance(part, arithmetic.Add):
        return arithmetic.Add()
    return replace(part, **{name: value.abs() for name, value in part.constants().items()})


def _sloped(x: AffineForm, slope: Tensor, least: Tensor, most: Tensor) -> AffineForm:
    """`f(x)` where `least <= f(x) - slope x <= most` for all x between the form's ends."""
    middle, half = (least + most) / 2, (most - least) / 2
    error = slope.abs() * x.error + half
    size = slope.abs() * x.size + least.abs() + most.abs()
    error = error + gamma(x.slopes.shape[1]) * size + _TINY
    return AffineForm(slope * x.centre + middle, slope.unsqueeze(1) * x.slopes, error, True)


def _relu(operation: Operation, inputs: Sequence[AffineForm]) -> AffineForm:
    """Convex: above a parallel of the chord through the kink, and below the chord itself."""
    assert isinstance(operation, Relu)
    (x,) = inputs
    lower, upper = x.ends
    left = operation.slope
    kinked = (lower < 0) & (upper > 0)
    chord = (upper - left * lower) / (upper - lower).clamp(min=1e-300)
    straight = torch.where(lower >= 0, torch.ones_like(lower), left)  # of two plain numbers torch would make float32
    slope = torch.where(kinked, chord.clamp(left, 1.0), straight)
    height = torch.maximum((1 - slope) * upper, (slope - left) * -lower)
    most = torch.where(kinked, height + gamma(1) * (upper - lower), 0.0)
    return _sloped(x, slope, torch.zeros_like(most), most)


def _curved(curve: Curve, x: AffineForm) -> AffineForm:
    """With the slope of the chord."""
    lower, upper = x.ends
    slope = (curve.function(upper) - curve.function(lower)) / (upper - lower).clamp(min=1e-300)
    slope = torch.where(upper - lower > 1e-6, slope, curve.slope_at(x.centre)).nan_to_num(0.0, 0.0, 0.0)
    return _sloped(x, slope, *curve.extremes(slope, lower, upper))


def _sigmoid_of(x: AffineForm) -> AffineForm:
    """With the chord's slope m: `f(x) - m x` is extreme at the ends, or where `f' = m`, which is where `f (1 - f) = m`."""
    lower, upper = x.ends
    middle = ((lower + upper) / 2).sigmoid()
    secant = (upper.sigmoid() - lower.sigmoid()) / (upper - lower).clamp(min=1e-300)
    slope = torch.where(upper - lower > 1e-4, secant, middle * (1 - middle)).clamp(0, 0.25)
    root = (1 - 4 * slope).clamp(min=0).sqrt()
    turn = ((1 + root).square() / (4 * slope).clamp(min=1e-30)).log()
    points = [lower, upper, turn.clamp(lower, upper), (-turn).clamp(lower, upper)]
    heights = torch.stack([point.sigmoid() - slope * point for point in points])
    margin = EVALUATED * (1 + slope * (lower.abs() + upper.abs()))
    return _sloped(x, slope, heights.amin(0) - margin, heights.amax(0) + margin)


def _tanh_of(x: AffineForm) -> AffineForm:
    """`tanh x = 2 sigmoid(2 x) - 1`."""
    doubled = _sigmoid_of(x.times(2.0)).times(2.0)
    return replace(doubled, centre=doubled.centre - 1, error=doubled.error + gamma(1) * (doubled.centre.abs() + 1))


def _product_of(x: AffineForm, y: AffineForm) -> AffineForm:
    """`x y = c_x c_y + c_x Y + c_y X + X Y`; in X Y the squares of symbols lie in [0, 1], all other products in [-1, 1]."""
    squares = x.slopes * y.slopes
    centre = x.centre * y.centre + squares.sum(1) / 2
    slopes = x.centre.unsqueeze(1) * y.slopes + y.centre.unsqueeze(1) * x.slopes
    error = x.centre.abs() * y.error + y.centre.abs() * x.error + x.spread * y.spread - squares.abs().sum(1) / 2
    error = error + gamma(2 * slopes.shape[1]) * x.size * y.size + _TINY
    return AffineForm(centre, slopes, error, True)


def _sigmoid(operation: Operation, inputs: Sequence[AffineForm]) -> AffineForm:
    return _sigmoid_of(inputs[0])


def _tanh(operation: Operation, inputs: Sequence[AffineForm]) -> AffineForm:
    return _tanh_of(inputs[0])


def _product(operation: Operation, inputs: Sequence[AffineForm]) -> AffineForm:
    return _product_of(inputs[0], inputs[1])


def _gate(operation: Operation, inputs: Sequence[AffineForm]) -> AffineForm:
    assert isinstance(operation, Gate)
    return _product_of(_sigmoid_of(inputs[0]), _tanh_of(inputs[1]) if operation.squashed else inputs[1])


def _silu(operation: Operation, inputs: Sequence[AffineForm]) -> AffineForm:
    return _product_of(inputs[0], _sigmoid_of(inputs[0]))


def _max_pool(operation: Operation, inputs: Sequence[AffineForm]) -> AffineForm:
    """The element that is largest at the centre, and between nothing and the most by which another may exceed it."""
    assert isinstance(operation, max_pool.MaxPool)
    (x,) = inputs
    count = x.centre[0].numel()
    numbers = torch.arange(count, dtype=torch.float64, device=x.centre.device).view(x.centre.shape[1:])
    places = operation.windows(numbers)  # (*output, k): which elements a window has; minus infinity in the padding
    inside, places = places >= 0, places.clamp(min=0).long()
    seen = [part.flatten(start)[..., places] for part, start in ((x.centre, 1), (x.slopes, 2), (x.error, 1))]
    centres, slopes, errors = seen
    first = centres.masked_fill(~inside, -torch.inf).argmax(-1, keepdim=True)
    best = centres.gather(-1, first), errors.gather(-1, first)
    lead = slopes.gather(-1, first.unsqueeze(1).expand(*slopes.shape[:-1], 1))
    over = centres - best[0] + (slopes - lead).abs().sum(1) + errors + best[1]
    size = centres.abs() + best[0].abs() + slopes.abs().sum(1) + lead.abs().sum(1) + errors + best[1]
    over = (over + gamma(slopes.shape[1]) * size).clamp(min=0)
    other = torch.arange(over.shape[-1], device=over.device) != first
    most = torch.where(inside & other, over, 0.0).amax(-1)
    leader = AffineForm(best[0][..., 0], lead[..., 0], best[1][..., 0], x.loose)
    return _sloped(leader, torch.ones_like(most), torch.zeros_like(most), most)


def _warped(operation: Operation, inputs: Sequence[AffineForm]) -> AffineForm:
    assert isinstance(operation, Warped)
    (p,) = inputs
    lower, upper = (end.flatten(1) for end in p.ends)
    line = line_of(operation, lower[:, 0], upper[:, 0])
    steep, shift = line.slope.unsqueeze(1), (p.centre - lower.view(p.centre.shape)).view(-1, *[1] * 5)
    middle, half = ((part / 2).unsqueeze(1) for part in (line.most + line.least, line.most - line.least))
    slopes = steep.unsqueeze(1) * p.slopes.view(*p.slopes.shape[:2], *[1] * 5)
    start, own, size = line.start.unsqueeze(1), p.error.view(shift.shape), p.size.view(shift.shape)
    error = half + steep.abs() * own
    error = error + gamma(slopes.shape[1]) * (start.abs() + middle.abs() + error + steep.abs() * size) + _TINY
    return AffineForm(start + middle + steep * shift, slopes, error, True)


_AFFINE = (
    arithmetic.Add,
    arithmetic.Affine,
    constant.Constant,
    convolution.Convolution,
    linear.Linear,
    reduction.Sum,
)
_RULES: tuple[tuple[type[Operation] | tuple[type[Operation], ...], _Rule], ...] = (
    (Rearrangement, _moved),
    (_AFFINE, _affine),
    (Relu, _relu),
    (Sigmoid, _sigmoid),
    (Tanh, _tanh),
    (Gate, _gate),
    (Silu, _silu),
    (Product, _product),
    (max_pool.MaxPool, _max_pool),
    (Warped, _warped),
)
