"""Paragraphs that define the words of a report's summary, so that it can be read without the manual."""

from dataclasses import dataclass

from verification.engine import rounded
from verification.engine.perturbation import Distortion
from verification.reports import terms
from verification.reports.facts import Facts
from verification.services.distortions import counted_names, free_parameters, joined, summary_of

#: Above this ratio the extractor does not see the manipulation as it was asked. Measured (engine contract,
#: section 2): 0.1 to 0.3 where displacements accumulate as intended, 0.9 where it is not realised at all.
LARGE_REALISATION_ERROR = 0.5


@dataclass(frozen=True)
class Explanation:
    """A titled paragraph."""

    title: str
    text: str


@dataclass(frozen=True)
class Realisation:
    """How well the flow of the perturbed clip follows the flow that was asked for, and whether to warn."""

    text: str
    large: bool


def explanations(facts: Facts) -> list[Explanation]:
    """What is manipulated, how it reaches the frames, how its size is measured, what the bounds are worth."""
    return [
        Explanation("What is manipulated" if facts.changes_flow else "What is changed", _space(facts)),
        Explanation(
            "How it reaches the frames",
            f"{_imposition(facts)} The statements are about the clip as the classifier sees it, {facts.frames} "
            f"frames of {facts.height} × {facts.width} pixels (sampling “{facts.sampling}”), not about the "
            f"video file at its full size.{_mirrored(facts)}",
        ),
        Explanation(
            "How its size is measured",
            _measured(facts),
        ),
        Explanation(
            "What the bounds are worth",
            f"A sound lower bound is a mathematical proof for every real-valued {terms.noun(facts)} up to that size, "
            "with a margin for floating-point rounding. The upper bound is empirical: one concrete "
            f"{terms.noun(facts)}, evaluated again in double precision. The exact safe radius lies between them."
            f"{_eight_bit(facts)}",
        ),
    ]


def _mirrored(facts: Facts) -> str:
    if not facts.mirrored:
        return ""
    return (
        " Its frames are mirrored left to right before everything else: flow, pictures, files and both bounds are those of the "
        "mirrored clip. Of the clip as it was given only the class is told; where classes tell left from right, as “pan left” "
        "does, a good classifier changes it."
    )


def _eight_bit(facts: Facts) -> str:
    if not facts.eight_bit:
        return ""
    return (
        " An example counts only if the class is changed before its frames are rounded to 8 bits and stays changed after; the "
        f"class named is that of the rounded frames, the size that of the {terms.noun(facts)} itself. The lower bound is about "
        "frames that are not rounded: rounding is a change of its own, which it does not cover."
    )


def realisation(facts: Facts) -> Realisation | None:
    """None until an example is found. Judged by the medians, because the extractor has outliers."""
    median, rms = facts.realisation_median, facts.realisation_rms
    parts = [] if median is None else [f"{rounded.plain(median)} as the ratio of medians"]
    parts += [] if rms is None else [f"{rounded.plain(rms)} as root mean square"]
    if not parts:
        return None
    error = median if median is not None else rms
    large = error is not None and error > LARGE_REALISATION_ERROR
    text = (
        "The flow that is extracted again from the perturbed clip is not exactly the flow that was asked "
        f"for. Relative to the size of the manipulation the error is {' and '.join(parts)}."
    )
    if large:
        reason = (
            "it rounds grey values to 8 bits, and what changes the flow by less than some hundredths of a pixel drowns in that"
            if terms.rounds_grey(facts)
            else "the frames are far apart or noisy"
        )
        text += (
            f" This is large: the extractor hardly sees the manipulation as it was asked, often because {reason}. "
            "The bounds hold for manipulations as they are defined here; do not read them as bounds on the flow that the "
            "extractor would measure."
        )
    return Realisation(text, large)


def _imposition(facts: Facts) -> str:
    if facts.distortion:
        return (
            "It is computed from the values of the frames, which run from 0 to 1 and stay between them. Values are not rounded "
            "to 8 bits."
        )
    if not facts.changes_flow:
        return (
            "Values that would fall below 0 or rise above 1 are clipped, and only what remains of the change counts. "
            "Values are not rounded to 8 bits."
        )
    return (
        "A change of flow t moves the content of frame t + 1 and of every later frame: displacements add "
        "up along the clip. Frames are resampled bilinearly and repeat their edges; values are not "
        "rounded to 8 bits."
    )


def _measured(facts: Facts) -> str:
    if facts.distortion:
        return _measured_distortion(facts, facts.distortion)
    size = f"The {terms.size_name(facts)} is {terms.size_definition(facts)} of "
    if not facts.changes_flow:
        return (
            f"{size}the changes of all values of that clip together, three colours a pixel. Values run from 0 to 1; a grey "
            "level, as files of 8 bits have 256 of them, is 1/255."
        )
    return f"{size}all components of all vectors that are added, over all flows together, in pixels of that clip."


def _measured_distortion(facts: Facts, distortion: Distortion) -> str:
    counted = counted_names(distortion)
    free = free_parameters(distortion)
    which = f"its parameter {counted[0]}" if len(counted) == 1 else f"its parameters {joined(counted)}"
    how = (
        f"The size of a change is the absolute value of {which}, the same in every norm"
        if len(counted) == 1
        else f"The {terms.size_name(facts)} is {terms.size_definition(facts)} of {which}"
    )
    grey = (
        "Beside it stands how far the clips are apart: the norm of all differences of their values, in grey levels, "
        "of which 255 make the whole range."
    )
    anything = f" It does not count what {free} {'are' if ' and ' in free else 'is'}." if free else ""
    return f"{how}, in {facts.unit.definition}.{anything} {grey}"


def _distortion(facts: Facts, distortion: Distortion) -> str:
    named = zip(distortion.names, distortion.parameters, strict=True)
    ranges = joined([f"{name} from {_signed(one.least)} to {_signed(one.most)}" for name, one in named])
    several = len(distortion.parameters) > 1
    parameters, zero = ("parameters", "where all are 0") if several else ("parameter", "at 0")
    return (
        f"The frames are distorted by “{facts.space}”. {summary_of(distortion)} It has the {parameters} {ranges}; {zero} the "
        "clip is as it was. No flow is imposed."
    )


def _signed(value: float) -> str:
    return f"{value:g}".replace("-", "\u2212")


def _space(facts: Facts) -> str:
    if facts.distortion:
        return _distortion(facts, facts.distortion)
    if not facts.changes_flow:
        return (
            "Any number may be added to any colour value of any pixel, in every frame. No flow is imposed: this is for "
            "comparison with other verifiers, which bound changes of pixels."
        )
    count = facts.frames - 1
    extent = (
        f"The clip has {count} {'flow' if count == 1 else 'flows'} between its consecutive frames, each of "
        f"{facts.height} × {facts.width} vectors, extracted by {terms.extractor(facts)}."
    )
    chosen = "every flow" if facts.flows is None else terms.flows(facts)
    name, _, detail = facts.space.partition(":")
    if name == "dense":
        return f"{extent} A manipulation may add any vector at any pixel of {chosen}."
    if name == "moving":
        return (
            f"{extent} A manipulation may add any vector at any moving pixel of {chosen}. The share {detail} of all vectors of "
            "these flows, the shortest ones, counts as standing still; there nothing is added."
        )
    if name == "translation":
        return f"{extent} A manipulation adds one vector to all pixels of a flow, in {chosen}."
    if name == "blocks":
        return (
            f"{extent} Each is cut into {terms.times(detail)} blocks of nearly the same size. A manipulation adds one vector to "
            f"all pixels of a block, in {chosen}."
        )
    if name == "affine":
        return (
            f"{extent} A manipulation adds an affine field to a flow, one vector for all pixels and one that grows evenly "
            f"from column to column and from row to row: shift, stretch, turn and shear, in {chosen}."
        )
    return f"{extent} A manipulation of {chosen} is taken from the space “{facts.space}”."
