"""The confirmed adversarial example: nothing counts before it was evaluated in float64 on the perturbed clip."""

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.flow import Extractor
from verification.engine.flow.realisation import realisation_error
from verification.engine.perturbation import Norm
from verification.engine.result import AdversarialExample, Realisation

#: A candidate right on the boundary may fail in float64, or once its clip is stored as float32; then a little more is tried.
_STRETCHES = (1.0, 1 + 1e-6, 1 + 1e-5, 1 + 1e-4, 1 + 1e-3)


def confirm(
    problem: Problem, a: Tensor, flow: Tensor | None, extractor: Extractor, limit: float | None = None
) -> tuple[AdversarialExample, Tensor] | None:
    """The example at the coordinates `a` or just beyond, with its coordinates; None if the class does not change there.

    Evaluated in float64, both on the exact perturbed clip and on its float32 copy, which is what people get as a file. A tie
    with the original class does not count, nor does a norm above `limit`. `flow`: P(v), (l-1, 2, h, w), pixels; None where
    no flow is changed.
    """
    for stretch in _STRETCHES:
        stretched = problem.shortest(a.double() * stretch)
        if limit is not None and problem.norm_of(stretched) > limit:
            return None
        with torch.no_grad():
            delta = problem.space.lift(stretched)
            exact = problem.perturbed(stretched)
            stored = exact.float()
            label, confidence = _classify(problem, stored.double())
            if _classify(problem, exact)[0] != problem.label and label != problem.label:
                return _example(problem, delta, stored, label, confidence, flow, extractor), stretched
    return None


def _example(
    problem: Problem,
    delta: Tensor,
    clip: Tensor,
    label: int,
    confidence: float,
    flow: Tensor | None,
    extractor: Extractor,
) -> AdversarialExample:
    energy = delta.square().flatten(1).sum(1)
    rounded = clip.double().mul(255).round().div(255)
    return AdversarialExample(
        delta=delta.cpu(),
        clip=clip.cpu(),
        label=label,
        confidence=confidence,
        distances={norm: float(norm.of(delta)) for norm in Norm},
        shares=tuple((energy / energy.sum()).tolist()),
        realisation=None if flow is None else Realisation(*realisation_error(flow, delta, extractor.extract(clip))),
        survives_rounding=_classify(problem, rounded)[0] != problem.label,
    )


def _classify(problem: Problem, clip: Tensor) -> tuple[int, float]:
    """(class, softmax confidence) of a clip; the original class wins ties."""
    with torch.no_grad():
        logits = problem.logits_of(clip)
    winner = int(logits.argmax())
    if not bool(logits[winner] > logits[problem.label]):
        winner = problem.label
    return winner, float(logits.softmax(0)[winner])
