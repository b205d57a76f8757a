"""Boxes of gradients pulled back through linear maps (docs/bounds.md, section 8).

A gradient with respect to `y = W x + b` is one with respect to x by the transpose of W. Of a box of gradients the middle
goes through the transpose of W and the half width through that of |W|. Automatic differentiation supplies the transpose,
so that no operation writes its own a second time.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from verification.engine.relaxation.interval import Interval
from verification.engine.relaxation.rounding import Rounding

Shapes = tuple[tuple[int, ...], ...]


def transpose(function: Callable[..., Tensor], shapes: Shapes, rows: Tensor) -> tuple[Tensor, ...]:
    """The transpose of an affine `function` of inputs of `shapes`, applied to every one of `rows` (K, *output shape)."""
    zeros = (rows.new_zeros((rows.shape[0], *shape)) for shape in shapes)
    pull = torch.func.vjp(torch.func.vmap(function), *zeros)[1]
    return tuple(pull(rows))


def pull_selection(
    function: Callable[..., Tensor], shapes: Shapes, gradient: Interval, rounding: Rounding
) -> tuple[Interval, ...]:
    """`gradient` (K, *output shape) through a function whose matrices are of zeros and ones: sums of gradients."""
    lower, upper = (transpose(function, shapes, rows) for rows in (gradient.lower, gradient.upper))
    boxes = tuple(Interval(low, up) for low, up in zip(lower, upper, strict=True))
    copies = transpose(function, shapes, torch.ones_like(gradient.lower[:1]))
    if not rounding.rigorous or all(bool((count <= 1).all()) for count in copies):
        return boxes  # elements are moved, nothing is added up
    sizes = transpose(function, shapes, gradient.magnitude)
    gamma = rounding.gamma(gradient.lower[0].numel())
    return tuple(box.widened(gamma * size) for box, size in zip(boxes, sizes, strict=True))


def pull_affine(
    function: Callable[[Tensor], Tensor],
    absolute: Callable[[Tensor], Tensor],
    shape: tuple[int, ...],
    gradient: Interval,
    rounding: Rounding,
) -> Interval:
    """`gradient` (K, *output shape) through an affine function; `absolute` is the same with |W| for its weights W."""
    (middle,), (reach,) = (
        transpose(function, (shape,), gradient.centre),
        transpose(absolute, (shape,), gradient.radius),
    )
    if rounding.rigorous:
        # Middle, half width and both sums: each is off by at most gamma times |W| |gradient|.
        (size,) = transpose(absolute, (shape,), gradient.magnitude)
        reach = reach + 3 * rounding.gamma(gradient.lower[0].numel()) * size
    return Interval(middle - reach, middle + reach)
