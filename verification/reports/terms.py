"""The words that reports use for norms, spaces and flows."""

from verification.engine.errors import SpecificationError
from verification.engine.flow import build_extractor
from verification.reports.facts import Facts
from verification.services.distortions import free_parameters, subject

NORM_NAMES = {"l1": "L1", "l2": "L2", "linf": "L∞"}
_SIZES = {
    "l1": "the sum of the absolute values",
    "l2": "the square root of the sum of the squares",
    "linf": "the largest absolute value",
}


def size_name(facts: Facts) -> str:
    """For example `L2 size`."""
    return f"{NORM_NAMES[facts.norm]} size" if facts.norm_counts else "size"


def up_to(facts: Facts, radius: str) -> str:
    """Which manipulations are meant, behind their name: `whose L2 size is at most 2 px`, `by at most 12 degrees`."""
    reach = f"whose {size_name(facts)} is at most {radius}" if facts.norm_counts else f"by at most {radius}"
    free = free_parameters(facts.distortion) if facts.distortion else ""
    return f"{reach}, whatever {free} may be," if free else reach


def size_definition(facts: Facts) -> str:
    """What that size is, in words."""
    return _SIZES[facts.norm]


def flows(facts: Facts) -> str:
    """The flows that may change: `the optical flow`, `flow 3`, `flows 1, 2 and 5`."""
    if facts.flows is None:
        return "the optical flow"
    if len(facts.flows) == 1:
        return f"flow {facts.flows[0]}"
    *first, last = map(str, facts.flows)
    return f"flows {', '.join(first)} and {last}"


def extractor(facts: Facts) -> str:
    """How the flow was extracted: `Farneback’s polynomial expansion (winsize = 21)`; as written where that is not known."""
    try:
        return build_extractor(facts.extractor).described
    except SpecificationError:
        return f"“{facts.extractor}”"


def rounds_grey(facts: Facts) -> bool:
    """Whether the extractor sees grey values in whole levels only."""
    try:
        return build_extractor(facts.extractor).rounds
    except SpecificationError:
        return False


def noun(facts: Facts) -> str:
    """What is done to the clip: a `manipulation` of flow, a `change` of pixels."""
    return "manipulation" if facts.changes_flow else "change"


def one(facts: Facts) -> str:
    """`A manipulation`, at the beginning of a sentence."""
    return f"A {noun(facts)}"


def manipulation(facts: Facts) -> str:
    """The kind of manipulation that the bounds are about."""
    if facts.distortion:
        return f"change of {subject(facts.distortion, facts.space)}"
    if not facts.changes_flow:
        return "change of pixel values"
    name, _, detail = facts.space.partition(":")
    if name == "dense":
        return f"manipulation of {flows(facts)}"
    if name == "translation":
        return f"manipulation that shifts {flows(facts)} as a whole"
    if name == "affine":
        return f"affine manipulation of {flows(facts)}"
    if name == "blocks":
        return f"manipulation that shifts {flows(facts)} in {times(detail)} blocks"
    if name == "moving":
        return f"manipulation of {flows(facts)} at moving pixels"
    return f"manipulation of {flows(facts)} in the space “{facts.space}”"


def times(size: str) -> str:
    """`2x3` as it is printed: `2 × 3`."""
    return size.replace("x", " × ")
