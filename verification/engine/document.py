"""The result as JSON: the file of the command line, of the report and of the API's download, in one schema."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from verification.engine.clip import VideoInfo
from verification.engine.mirror import MirrorPair
from verification.engine.result import AdversarialExample, GamePicture, GridPicture, Guarantee, Result
from verification.engine.specification import Specification

SCHEMA = "flowverify.result/1"


def result_document(
    specification: Specification, result: Result, video: VideoInfo, versions: Mapping[str, str]
) -> dict[str, Any]:
    """All that was asked and found, in JSON's types. Distances in `distance_unit`, sizes as [height, width], flows from 1.

    `versions`: of the program and the packages that the numbers depend on.
    """
    return {
        "schema": SCHEMA,
        **_question(specification, video),
        "label": result.label,
        "label_name": specification.classifier.labels[result.label],
        "confidence": result.confidence,
        **_mirror(specification, result.mirror),
        "lower": result.lower,
        "lower_guarantee": result.lower_guarantee.value,
        "lower_grey_levels": result.lower_grey_levels,
        "upper": result.upper,
        "upper_guarantee": None if result.upper is None else Guarantee.EMPIRICAL.value,
        **_adversarial(specification, result.adversarial),
        "game": None if result.game is None else _game(result.game),
        "status": result.status.value,
        "answer": result.answer(specification.radius).value if specification.query and specification.radius else None,
        "seconds": result.seconds,
        "history": [asdict(point) for point in result.history],
        "versions": dict(versions),
    }


def _question(specification: Specification, video: VideoInfo) -> dict[str, Any]:
    clip, classifier = specification.clip, specification.classifier
    return {
        "video": {
            "name": clip.name,
            "sha256": clip.sha256,
            "frames": video.frames,
            "fps": video.fps,
            "size": [video.height, video.width],
        },
        "clip": {
            "frames": clip.length,
            "size": list(clip.size),
            "sampling": classifier.input.sampling,
            "numbers": list(clip.numbers),
            "mirrored": clip.mirrored,
        },
        "classifier": {
            "name": classifier.name,
            "sha256": classifier.sha256,
            "architecture": classifier.architecture,
            "labels": list(classifier.labels),
            "channels": str(classifier.input.channels),
        },
        "norm": specification.norm.value,
        "space": specification.space,
        "distance_unit": specification.unit.value,
        "flows": None if specification.flows is None else list(specification.flows),
        "radius": specification.radius,
        "query": specification.query,
        "eight_bit": specification.eight_bit,
        "lower_method": specification.lower_method.value,
        "upper_method": specification.upper_method.value,
        "budget": asdict(specification.budget),
        "seed": specification.seed,
        "extractor": specification.extractor,
        "device": specification.device,
    }


def _mirror(specification: Specification, pair: MirrorPair | None) -> dict[str, Any]:
    """Where the clip is mirrored, how the one that was given is classified; null where it is not."""
    return {
        "given_label": None if pair is None else pair.label,
        "given_label_name": None if pair is None else specification.classifier.labels[pair.label],
        "given_confidence": None if pair is None else pair.confidence,
        "pair_agrees": None if pair is None else pair.agrees,
    }


def _game(picture: GamePicture | GridPicture) -> dict[str, Any]:
    """How the two players left their game; without the heat map."""
    if isinstance(picture, GridPicture):
        return asdict(picture)
    names = ("cells", "certified", "bounded", "estimate", "target", "flows", "strategy", "directions")
    return {name: getattr(picture, name) for name in names}


def _adversarial(specification: Specification, example: AdversarialExample | None) -> dict[str, Any]:
    """The facts about the example behind the upper bound, under `upper_...`; null while there is none."""
    return {
        "upper_label": None if example is None else example.label,
        "upper_label_name": None if example is None else specification.classifier.labels[example.label],
        "upper_confidence": None if example is None else example.confidence,
        "upper_distances": None if example is None else {n.value: d for n, d in example.distances.items()},
        "upper_shares": None if example is None else list(example.shares),
        "upper_realisation": None if example is None or example.realisation is None else asdict(example.realisation),
        "upper_quality": None if example is None else asdict(example.quality),
        "upper_survives_rounding": None if example is None else example.survives_rounding,
        "upper_grey_levels": None if example is None else {n.value: d for n, d in example.grey_levels.items()},
        "upper_parameters": None if example is None else example.parameters,
    }
