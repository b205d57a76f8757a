"""Making a found perturbation smaller without a gradient step: dropping what does not help, then shrinking along the ray."""

from collections.abc import Callable

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.search.start import margin_of

_HALVINGS = 8


def polish(problem: Problem, a: Tensor, check: Callable[[], None]) -> Tensor:
    """A perturbation of at most the norm of `a` that still changes the class, in float64 and on the device of `a`."""
    best = a.double()
    if not changes_class(problem, best):
        return best
    best = shrink(problem, best, check)
    fewer = drop(problem, best)
    if fewer is not None:
        check()
        if changes_class(problem, fewer):
            return shrink(problem, fewer, check)
    return best


def shrink(problem: Problem, a: Tensor, check: Callable[[], None]) -> Tensor:
    """The smallest found multiple of `a` that still changes the class, by bisection near the boundary."""
    good, width = 1.0, 0.001
    while width < 0.5 and changes_class(problem, a * (good - width)):
        check()
        good, width = good - width, width * 2
    bad = good - width
    for _ in range(_HALVINGS):
        check()
        middle = (good + bad) / 2
        if changes_class(problem, a * middle):
            good = middle
        else:
            bad = middle
    return a * good


def drop(problem: Problem, a: Tensor) -> Tensor | None:
    """`a` without the dimensions that, to first order, work against the change of class; None when there are none."""
    point = a.detach().requires_grad_(True)
    margin = margin_of(problem.logits(point), problem.label, None)
    (gradient,) = torch.autograd.grad(margin, point)
    useless = (gradient * a >= 0) & (a != 0)
    return torch.where(useless, torch.zeros_like(a), a) if bool(useless.any()) else None


def changes_class(problem: Problem, a: Tensor) -> bool:
    """Whether another class strictly wins at `a`, computed in the dtype of `a`."""
    with torch.no_grad():
        return float(margin_of(problem.logits(a), problem.label, None)) < 0
