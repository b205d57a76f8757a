"""What a verification proves, and what it does not, in plain words.

Every sentence here is a claim. Proven is only a lower bound with the guarantee "sound"; the upper bound is a
concrete example; whatever lies between or beyond is said to be unknown. Numbers are rounded to the safe side.
"""

from verification.engine import rounded
from verification.reports import numbers, terms
from verification.reports.facts import Facts


def headline(facts: Facts) -> str:
    """The outcome in one line."""
    if facts.lower > 0 and facts.lower_guarantee == "sound":
        proven = f"Proven safe up to {facts.unit.proven(facts.lower)}"
        proven += f" in {terms.NORM_NAMES[facts.norm]}" if facts.norm_counts else ""
    else:
        proven = "No radius proven" if facts.finished else "No radius proven yet"
    if facts.upper is None:
        return proven
    return f"{proven}; the class changes at {facts.unit.found(facts.upper)}"


def summary(facts: Facts) -> str:
    """One paragraph: what is proven, what was found, what is unknown, and how the run ended."""
    if facts.label is None:
        sentences = [_unclassified(facts), _ending(facts)]
    else:
        sentences = [_decision(facts), _lower(facts), _upper(facts), _unknown(facts), _ending(facts)]
    return " ".join(sentence for sentence in sentences if sentence)


def _unclassified(facts: Facts) -> str:
    if facts.status == "queued":
        return "Nothing is known yet."
    return "Nothing is known: the clip was not classified." if facts.finished else "Nothing is known yet."


def _decision(facts: Facts) -> str:
    return pair(facts) or f"The classifier sees “{facts.label}” in this clip{_confidence(facts.confidence)}."


def pair(facts: Facts) -> str:
    """What the classifier makes of a mirrored clip and of the one that was given; empty where none is mirrored."""
    if not facts.mirrored or facts.pair_agrees is None:
        return ""
    return (
        f"The clip is mirrored left to right. Given: “{facts.given_label}”{_confidence(facts.given_confidence)}; mirrored: "
        f"“{facts.label}”{_confidence(facts.confidence)}: the pair {'agrees' if facts.pair_agrees else 'does not agree'}."
    )


def claim(facts: Facts, radius: float) -> str:
    """What it means that `radius` is safe."""
    which = f"{terms.manipulation(facts)} {terms.up_to(facts, facts.unit.proven(radius))}"
    return f"Every {which} leaves the class{' of the mirrored clip' if facts.mirrored else ''} at “{facts.label}”."


def _lower(facts: Facts) -> str:
    if facts.lower <= 0:
        if not facts.finished:
            return "No radius is proven yet."
        return f"No radius was proven safe; this does not mean that a small {terms.noun(facts)} changes the class."
    said = claim(facts, facts.lower)
    if facts.lower_guarantee != "sound":
        return (
            f"If the constants behind it hold, e{said[1:]} "
            "They were supplied or estimated, not proven: this is not a proof."
        )
    proof = f"{said} This is a proof for all of them, not only for those that were tried."
    if facts.lower_grey_levels is not None:
        proof += (
            " The class is also kept by every clip that such a change can make and that is less than "
            f"{rounded.lower_bound(facts.lower_grey_levels)} grey levels away from the original in L2."
        )
    if facts.status == "certified" and facts.radius is not None:
        proof += f" The whole radius asked for, {facts.unit.plain(facts.radius)}, holds no adversarial example."
    elif facts.status == "certified":
        proof += " The distortion does not go farther: there is no adversarial example of it."
    return proof


def _upper(facts: Facts) -> str:
    if facts.upper is not None:
        to = "" if facts.upper_label is None else f" to “{facts.upper_label}”"
        to += _confidence(facts.upper_confidence)
        return f"{terms.one(facts)} of size {facts.unit.found(facts.upper)} changes the class{to}; {_example(facts)}."
    if facts.status == "certified":
        return ""
    if not facts.finished:
        return f"No {terms.noun(facts)} that changes the class{_also(facts)} has been found so far."
    within = "" if facts.radius is None else f" within the radius of {facts.unit.plain(facts.radius)}"
    return f"The search found no {terms.noun(facts)}{within} that changes the class{_also(facts)}; that alone proves nothing."


def _also(facts: Facts) -> str:
    return " in 8 bits too" if facts.eight_bit else ""


def _example(facts: Facts) -> str:
    survives = ", which survives the rounding of the frames to 8 bits" if facts.eight_bit else ""
    return f"it is a concrete example{survives}"


def _unknown(facts: Facts) -> str:
    if facts.upper is None:
        if facts.lower <= 0:
            return ""
        return f"Beyond {facts.unit.proven(facts.lower)} nothing is known."
    if facts.ratio is None:
        return "Below that size nothing is known."
    if facts.ratio <= 1:
        return "The two bounds meet: this is the exact safe radius."
    return f"Between the two, a factor of {rounded.upper_bound(facts.ratio)}, nothing is known."


def _confidence(confidence: float | None) -> str:
    return "" if confidence is None else f" (confidence {numbers.percent(confidence)})"


def _ending(facts: Facts) -> str:
    spent, budget = numbers.duration(facts.elapsed), numbers.duration(facts.seconds)
    match facts.status:
        case "queued":
            return "The verification waits for a worker."
        case "running" if facts.certifying:
            return f"These bounds are final after {spent}; their certificate is being written."
        case "running":
            return f"The verification still runs ({spent} of {budget}); its bounds can only get tighter."
        case "converged":
            return f"The bounds met to within the tolerance after {spent}."
        case "certified":
            return f"This took {spent}."
        case "refuted":
            return f"The query is answered after {spent}: the radius asked for is not safe."
        case "exhausted":
            return f"The budget of {budget} is spent."
        case "cancelled":
            stands = " What is stated here holds all the same." if facts.lower > 0 or facts.upper else ""
            return f"A person stopped the verification after {spent}.{stands}"
    return _failure(facts, spent)


def _failure(facts: Facts, spent: str) -> str:
    reason = facts.error.strip().rstrip(".") or "no reason was recorded"
    ending = f"The verification failed after {spent}: {reason}."
    if facts.lower > 0 or facts.upper is not None:
        ending += " What is stated here was recorded before that and holds all the same."
    return ending
