"""The horizontal flip, a group of two: how the classifier decides about a clip and about its mirror image.

One of the natural distortions of the paper (section 6.3, Figure 9). It has no size, so there is nothing to bound: the question is
asked of the mirrored clip (`Clip.oriented`), and both decisions are told.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class MirrorPair:
    """Beside the class of a mirrored clip: `label` and its softmax `confidence` for the clip that was given.

    `agrees`: both have the same class.
    """

    label: int
    confidence: float
    agrees: bool


def pair_sentence(pair: MirrorPair, label: int, confidence: float, names: Sequence[str]) -> str:
    """For people. `label` and `confidence`: of the mirrored clip; `names`: of the classes."""
    given = f"{names[pair.label]}, {100 * pair.confidence:.1f} %"
    mirrored = f"{names[label]}, {100 * confidence:.1f} %"
    verdict = "agrees" if pair.agrees else "does not agree"
    return f"The clip is mirrored left to right. Given: {given}; mirrored: {mirrored}: the pair {verdict}."
