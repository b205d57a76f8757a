"""The confirmed adversarial example: nothing counts before it was evaluated in float64 on the perturbed clip."""

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.clip.quality import quality
from verification.engine.clip.rounding import GREY_LEVELS, rounded
from verification.engine.flow import Extractor
from verification.engine.flow.realisation import realisation_error
from verification.engine.perturbation import Distortion, Norm
from verification.engine.result import AdversarialExample, Realisation

#: A candidate right on the boundary may fail in float64, or once its clip is stored as float32; then a little more is tried.
_STRETCHES = (1.0, 1 + 1e-6, 1 + 1e-5, 1 + 1e-4, 1 + 1e-3)
#: And much more where the class change has to outlast the noise of rounding to 8 bits: up to 1.1 as measured (docs/examples.md).
_FARTHER = (1.002, 1.005, 1.01, 1.02, 1.05, 1.1, 1.2, 1.5)


def confirm(
    problem: Problem,
    a: Tensor,
    flow: Tensor | None,
    extractor: Extractor,
    limit: float | None = None,
    eight_bit: bool = False,
) -> tuple[AdversarialExample, Tensor] | None:
    """The example at the coordinates `a` or just beyond, with its coordinates; None if the class does not change there.

    Evaluated in float64, both on the exact perturbed clip and on its float32 copy, which is what people get as a file; with
    `eight_bit` also on the copy that is rounded to 8 bits, and then farther along the ray. A tie with the original class does not
    count, nor does a norm above `limit`. `flow`: P(v), (l-1, 2, h, w), pixels; None where no flow is changed.
    """
    for stretch in (*_STRETCHES, *_FARTHER) if eight_bit else _STRETCHES:
        stretched = problem.shortest(a.double() * stretch)
        if limit is not None and problem.norm_of(stretched) > limit:
            return None
        example = _example(problem, stretched, flow, extractor, eight_bit)
        if example is not None:
            return example, stretched
    return None


def _example(
    problem: Problem, a: Tensor, flow: Tensor | None, extractor: Extractor, eight_bit: bool
) -> AdversarialExample | None:
    """The example at `a`; None where the class does not change in every way that is asked for."""
    with torch.no_grad():
        exact = problem.perturbed(a)
        delta = problem.space.change(problem.frames, a)
    clip = exact.float()
    saved = rounded(clip.double()).float()  # as it is read from a file again
    seen, grey = _classify(problem, clip.double()), _classify(problem, saved.double())
    labels = [seen[0], _classify(problem, exact)[0], *([grey[0]] if eight_bit else [])]
    if problem.label in labels:
        return None
    label, confidence = grey if eight_bit else seen
    energy = delta.square().flatten(1).sum(1)
    return AdversarialExample(
        delta=delta.cpu(),
        clip=clip.cpu(),
        label=label,
        confidence=confidence,
        distances={norm: float(problem.space.norm(a, norm)) for norm in Norm},
        shares=tuple((energy / energy.sum()).tolist()),
        realisation=None if flow is None else Realisation(*realisation_error(flow, delta, extractor.extract(clip))),
        quality=quality(problem.frames, clip),
        survives_rounding=grey[0] != problem.label,
        grey_levels={norm: GREY_LEVELS * float(norm.of(exact - problem.frames)) for norm in Norm},
        parameters=problem.space.named(a) if isinstance(problem.space, Distortion) else None,
    )


def _classify(problem: Problem, clip: Tensor) -> tuple[int, float]:
    """(class, softmax confidence) of a clip; the original class wins ties."""
    with torch.no_grad():
        logits = problem.logits_of(clip)
    winner = int(logits.argmax())
    if not bool(logits[winner] > logits[problem.label]):
        winner = problem.label
    return winner, float(logits.softmax(0)[winner])
