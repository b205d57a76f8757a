"""Slopes of relaxations, chosen for the margins that they are to prove (docs/bounds.md, section 10).

Planes are chosen neuron by neuron, as if each mattered alone. But whatever the slopes, `Elementwise.sloped` gives sound
planes: so slopes may follow the gradient of the margins' bounds, and every step on the way is a bound of its own.
"""

import math

import torch
from torch import Tensor

from verification.engine.bounds.linear import LinearBounds
from verification.engine.network.operations.base import Elementwise

_STEPS = 30
_RATE, _DECAY = 0.05, 0.9  # of Adam, in units of slope, and by what factor it falls with each step
_BETAS = (0.5, 0.9)  # the gradient's memory: short, as there are few steps
_SHARP = 30.0  # how much more the least margin counts than one that is greater by as much as the margins differ at all
_TRACED = 8  # how many tensors of each form on the way of a functional its gradient keeps


def sharpened(bounds: LinearBounds, label: int, margins: Tensor) -> Tensor:
    """(C - 1,): `margins`, what `bounds` gives of them, raised by better slopes; ends where all are positive.

    Class by class the best of all steps. As sound as `bounds`: in float64 a proof. Unchanged where no function has free slopes,
    and where there is no room for gradients.
    """
    slopes = _slopes(bounds)
    if not slopes or not _affordable(bounds, label):
        return margins
    ascent = torch.optim.Adam(slopes.values(), lr=_RATE, betas=_BETAS, maximize=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(ascent, _DECAY)
    best = latest = margins
    for _ in range(_STEPS):
        ascent.zero_grad()
        latest = _traced(bounds, label, slopes, latest)
        best = torch.fmax(best, latest)
        if bool((best > 0).all()) or not all(_is_finite(leaf.grad) for leaf in slopes.values()):
            break
        ascent.step()
        schedule.step()
    return best


def _is_finite(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(gradient.isfinite().all())


def _slopes(bounds: LinearBounds) -> dict[int, Tensor]:
    """By node the slopes that are free, (2 n, *shape): first those of the lower planes."""
    slopes = {}
    for number, (node, site) in enumerate(zip(bounds.graph.nodes, bounds.sites, strict=True), start=1):
        operation = node.operation
        # Planes near the clip go with an excess, which is that of their slopes.
        if isinstance(operation, Elementwise) and not site.touches:
            planes = operation.planes(site.rounding, *site.boxes)
            parts = [*planes.lower_slopes, *planes.upper_slopes]
            if operation.sloped(site.rounding, parts, *site.boxes) is not None:
                slopes[number] = torch.stack(parts).detach().requires_grad_()
    return slopes


def _affordable(bounds: LinearBounds, label: int) -> bool:
    """Whether the way of one batch of margins back to the clip can be kept for its gradient."""
    elements = bounds.elements(bounds.margin_batches(label)[0])
    return _TRACED * sum(elements) * bounds.item <= bounds.allowance.left


def _traced(bounds: LinearBounds, label: int, slopes: dict[int, Tensor], latest: Tensor) -> Tensor:
    """(C - 1,): the margins with these slopes, which get a gradient: that of what matters, as the `latest` margins say."""
    spread = (latest.amax() - latest.amin()).clamp(min=1e-9)
    weights = (-_SHARP * latest / spread).nan_to_num(nan=-math.inf).softmax(0)
    with torch.enable_grad():
        planes = {number: _planes(bounds, number, leaf) for number, leaf in slopes.items()}
        # Batches share the planes: gradients are collected at them, and go on to the slopes once.
        shared = {number: prepared.detach().requires_grad_() for number, prepared in planes.items()}
        inner, results, start = bounds.with_planes(shared), [], 0
        for rows in bounds.margin_batches(label):
            margins = inner.bound(rows)
            (margins * weights[start : start + len(rows)]).sum().backward()
            results.append(margins.detach())
            start += len(rows)
        torch.autograd.backward(list(planes.values()), [shared[number].grad for number in planes])
    return torch.cat(results)


def _planes(bounds: LinearBounds, number: int, slopes: Tensor) -> Tensor:
    operation, site = bounds.graph.nodes[number - 1].operation, bounds.sites[number - 1]
    assert isinstance(operation, Elementwise)
    planes = operation.sloped(site.rounding, slopes.unbind(0), *site.boxes)
    assert planes is not None
    return operation.prepared(planes, site)
