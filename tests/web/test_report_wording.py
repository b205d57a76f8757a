"""The words of a report: what they claim must follow from what is recorded, in every state."""

from dataclasses import replace

import pytest

from verification.reports.explanations import explanations, realisation
from verification.reports.facts import Facts
from verification.reports.wording import headline, summary

FACTS = Facts(
    status="exhausted",
    frames=16,
    height=64,
    width=64,
    sampling="uniform",
    norm="l2",
    space="dense",
    extractor="farneback",
    seconds=60.0,
    elapsed=60.2,
    label="pan left",
    confidence=0.93,
    lower=0.03127,
    upper=0.2406,
    upper_label="static",
    upper_confidence=0.512,
)


def test_both_bounds_are_stated_with_what_they_are_worth() -> None:
    assert summary(FACTS) == (
        "The classifier sees “pan left” in this clip (confidence 93 %). "
        "Every manipulation of the optical flow whose L2 size is at most 0.03127 px leaves the class at "
        "“pan left”. This is a proof for all of them, not only for those that were tried. "
        "A manipulation of size 0.2406 px changes the class to “static” (confidence 51.2 %); it is a "
        "concrete example. "
        "Between the two, a factor of 7.695, nothing is known. "
        "The budget of 1 min is spent."
    )
    assert headline(FACTS) == "Proven safe up to 0.03127 px in L2; the class changes at 0.2406 px"


def test_bounds_whose_certificate_is_being_written_are_not_said_to_move() -> None:
    running = replace(FACTS, status="running")
    assert summary(running).endswith("its bounds can only get tighter.")
    text = summary(replace(running, certifying=True))
    assert text.endswith("These bounds are final after 1 min; their certificate is being written.")


def test_no_example_found_is_no_proof() -> None:
    text = summary(replace(FACTS, upper=None, upper_label=None, upper_confidence=None))
    assert "The search found no manipulation that changes the class; that alone proves nothing." in text
    assert "Beyond 0.03127 px nothing is known." in text
    assert "static" not in text


def test_no_example_within_the_radius_is_no_proof_either() -> None:
    text = summary(replace(FACTS, upper=None, radius=0.3))
    assert "The search found no manipulation within the radius of 0.3 px that changes the class" in text
    assert "that alone proves nothing" in text


def test_a_lower_bound_of_zero_claims_nothing() -> None:
    text = summary(replace(FACTS, lower=0.0))
    assert "No radius was proven safe; this does not mean that a small manipulation changes" in text
    assert "Below that size nothing is known." in text
    assert "Every" not in text
    assert headline(replace(FACTS, lower=0.0)).startswith("No radius proven;")


def test_a_certified_radius_says_that_there_is_no_example() -> None:
    text = summary(replace(FACTS, status="certified", lower=0.3, radius=0.3, upper=None))
    assert "is at most 0.3 px leaves the class" in text
    assert "The whole radius asked for, 0.3 px, holds no adversarial example." in text
    assert "proves nothing" not in text


@pytest.mark.parametrize("guarantee", ["conditional", "empirical"])
def test_an_estimate_is_never_called_a_proof(guarantee: str) -> None:
    facts = replace(FACTS, lower_guarantee=guarantee)
    text = summary(facts)
    assert "If the constants behind it hold, every manipulation" in text
    assert "this is not a proof" in text
    assert "This is a proof" not in text
    assert headline(facts) == "No radius proven; the class changes at 0.2406 px"


def test_while_it_runs_nothing_is_final() -> None:
    text = summary(replace(FACTS, status="running", lower=0.0, upper=None, elapsed=12.0))
    assert "No radius is proven yet." in text
    assert "No manipulation that changes the class has been found so far." in text
    assert "The verification still runs (12 s of 1 min); its bounds can only get tighter." in text


def test_a_queued_verification_knows_nothing() -> None:
    facts = replace(FACTS, status="queued", label=None, lower=0.0, upper=None)
    assert summary(facts) == "Nothing is known yet. The verification waits for a worker."


def test_a_cancelled_verification_keeps_its_bounds() -> None:
    text = summary(replace(FACTS, status="cancelled", elapsed=17.3))
    assert "This is a proof" in text
    assert "A person stopped the verification after 17.3 s." in text
    assert text.endswith("What is stated here holds all the same.")


def test_a_failure_before_anything_was_known() -> None:
    facts = replace(FACTS, status="failed", label=None, lower=0.0, upper=None, error="The file is gone.")
    assert summary(facts) == (
        "Nothing is known: the clip was not classified. The verification failed after 1 min: The file is gone."
    )


def test_a_failure_later_keeps_what_was_recorded() -> None:
    text = summary(replace(FACTS, status="failed", error="out of memory"))
    assert "failed after 1 min: out of memory. What is stated here was recorded before that" in text


def test_converged_bounds_that_meet_are_exact() -> None:
    text = summary(replace(FACTS, status="converged", lower=0.25, upper=0.25))
    assert "The two bounds meet: this is the exact safe radius." in text
    assert "The bounds met to within the tolerance" in text


@pytest.mark.parametrize(
    ("space", "flows", "words"),
    [
        ("dense", (3,), "Every manipulation of flow 3 whose"),
        ("dense", (1, 2, 5), "Every manipulation of flows 1, 2 and 5 whose"),
        ("translation", None, "Every manipulation that shifts the optical flow as a whole whose"),
        ("translation", (1, 4), "Every manipulation that shifts flows 1 and 4 as a whole whose"),
        ("blocks:4x2", None, "Every manipulation that shifts the optical flow in 4 × 2 blocks whose"),
        ("moving:0.9", (2,), "Every manipulation of flow 2 at moving pixels whose"),
        ("affine", None, "Every affine manipulation of the optical flow whose"),
        ("unknown:1", None, "Every manipulation of the optical flow in the space “unknown:1” whose"),
    ],
)
def test_the_claim_names_only_the_manipulations_that_were_covered(
    space: str, flows: tuple[int, ...] | None, words: str
) -> None:
    assert words in summary(replace(FACTS, space=space, flows=flows))


@pytest.mark.parametrize(
    ("norm", "name", "definition"),
    [
        ("l1", "L1 size", "the sum of the absolute values"),
        ("l2", "L2 size", "the square root of the sum of the squares"),
        ("linf", "L∞ size", "the largest absolute value"),
    ],
)
def test_the_size_is_named_and_defined(norm: str, name: str, definition: str) -> None:
    facts = replace(FACTS, norm=norm)
    assert f"whose {name} is at most" in summary(facts)
    assert any(f"The {name} is {definition}" in explanation.text for explanation in explanations(facts))


def test_explanations_name_the_clip_and_the_accumulation() -> None:
    text = " ".join(explanation.text for explanation in explanations(FACTS))
    assert "15 flows" in text
    assert "16 frames of 64 × 64 pixels" in text
    assert "displacements add up along the clip" in text


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ("moving:0.9", "any vector at any moving pixel of every flow. The share 0.9 of all vectors"),
        (
            "blocks:2x3",
            "cut into 2 × 3 blocks of nearly the same size. A manipulation adds one vector to all pixels of a block",
        ),
        ("affine", "shift, stretch, turn and shear, in every flow."),
    ],
)
def test_explanations_say_what_the_space_is(space: str, words: str) -> None:
    assert words in explanations(replace(FACTS, space=space))[0].text


@pytest.mark.parametrize(
    ("extractor", "words"),
    [
        ("farneback", "extracted by Farneback’s polynomial expansion. A manipulation"),
        (
            "dis:delta=0,patch_stride=4",
            "extracted by dense inverse search (patch_stride = 4, delta = 0). A manipulation",
        ),
        ("gone:speed=9", "extracted by “gone:speed=9”. A manipulation"),
    ],
)
def test_explanations_say_how_the_flow_is_extracted(extractor: str, words: str) -> None:
    assert words in explanations(replace(FACTS, extractor=extractor))[0].text


def test_a_large_realisation_error_is_a_warning() -> None:
    large = realisation(replace(FACTS, realisation_median=1.26, realisation_rms=3.4))
    assert large is not None
    assert large.large
    assert "1.26 as the ratio of medians and 3.4 as root mean square" in large.text
    assert "This is large" in large.text
    assert "often because the frames are far apart or noisy. The bounds hold" in large.text


@pytest.mark.parametrize("extractor", ["dis:delta=0", "lucas-kanade"])
def test_rounding_is_named_where_an_extractor_rounds(extractor: str) -> None:
    large = realisation(replace(FACTS, realisation_median=1.26, extractor=extractor))
    assert large is not None
    assert "often because it rounds grey values to 8 bits" in large.text


def test_a_small_realisation_error_is_only_reported() -> None:
    small = realisation(replace(FACTS, realisation_median=0.11, realisation_rms=0.9))
    assert small is not None
    assert not small.large
    assert "This is large" not in small.text


def test_without_an_example_there_is_no_realisation_error() -> None:
    assert realisation(FACTS) is None
