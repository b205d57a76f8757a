"""What `manage.py verify` reads from its options: a question for the engine, or one message that says what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verification import demo
from verification.demo.clip import demo_video
from verification.engine import (
    Budget,
    Classifier,
    LowerMethod,
    Norm,
    Specification,
    SpecificationError,
    UpperMethod,
    VideoInfo,
    load_classifier,
    probe_video,
    read_clip,
)
from verification.engine.clip import Part
from verification.engine.network import check_clip, read_labels
from verification.services.devices import usable_device
from verification.services.distortions import asked_by_name
from verification.services.verifications import MAX_SEED

DEFAULT_SPACE = Specification.space
DEMO_CLASSIFIER = Path(demo.__file__).with_name("camera_motion.safetensors")


@dataclass(frozen=True)
class Question:
    """The engine's specification, and what is known of the video it came from."""

    specification: Specification
    video: VideoInfo


def read_question(options: Mapping[str, Any], footage: Path) -> Question:
    """The question that the options of `manage.py verify` ask. `footage`: where the demo keeps its videos.

    Raises EngineError, or FootageError for the demo.
    """
    options = _said(options)
    flows, radius = _flows(options["flows"]), options["radius"]
    budget, device = (
        Budget(options["seconds"], options["rounds"], memory=options["memory"]),
        usable_device(options["device"]),
    )
    _check_source(options)
    _check_seed(options["seed"])
    classifier = read_classifier(options)
    video = demo_video(footage) if options["demo"] else Path(options["video"])
    wanted = classifier.input
    clip = read_clip(
        video,
        frames=wanted.frames,
        size=(wanted.height, wanted.width),
        sampling=wanted.sampling,
        part=Part(options["first"], options["last"]),
        name=video.name,
    ).oriented(options["mirror"])
    check_clip(classifier, options["classifier"] or DEMO_CLASSIFIER, clip.frames)
    specification = Specification(
        clip=clip,
        classifier=classifier,
        norm=Norm(options["norm"]),
        space=options["space"],
        flows=flows,
        radius=radius,
        budget=budget,
        tau=options["tau"],
        query=options["query"],
        eight_bit=options["eight_bit"],
        lower_method=LowerMethod(options["lower"]),
        upper_method=UpperMethod(options["upper"]),
        seed=options["seed"],
        extractor=options["flow"],
        device=device,
    )
    return Question(specification, probe_video(video))


def _said(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options with what `--distortion` says in the place of those that say the same."""
    if options["distortion"] is None:
        return {**options, "space": options["space"] or DEFAULT_SPACE}
    if options["space"] is not None:
        raise SpecificationError("a distortion is a space of its own: give --space or --distortion, not both")
    return {**options, "space": DEFAULT_SPACE, **asked_by_name(options["distortion"])}


def read_classifier(options: Mapping[str, Any]) -> Classifier:
    """The classifier that the options name, the demo's if they name none. Raises EngineError."""
    return load_classifier(
        DEMO_CLASSIFIER if options["classifier"] is None else options["classifier"],
        architecture=options["architecture"],
        labels=None if options["labels"] is None else read_labels(options["labels"]),
        frames=options["frames"],
        size=None if options["size"] is None else read_size(options["size"]),
        channels=options["channels"],
        sampling=options["sampling"],
        order=options["order"],
        value_range=options["range"],
        mean=options["mean"],
        deviation=options["std"],
        trust=options["trust"],
    )


def _check_source(options: Mapping[str, Any]) -> None:
    if options["demo"] and options["video"] is not None:
        raise SpecificationError("give a video or --demo, not both")
    if not options["demo"] and options["video"] is None:
        raise SpecificationError("name a video file, or use --demo")
    if not options["demo"] and options["classifier"] is None:
        raise SpecificationError("name the classifier's file with --classifier, or use --demo")


def _check_seed(seed: int) -> None:
    """The same seeds as on the pages: a larger one does not fit into torch's generator, a negative one wraps around."""
    if not 0 <= seed <= MAX_SEED:
        raise SpecificationError(f"the seed must be a whole number from 0 to {MAX_SEED}, not {seed}")


def read_size(text: str) -> tuple[int, int]:
    """(height, width) from `HxW`."""
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise SpecificationError(f"write the size as HEIGHTxWIDTH in pixels, for example 64x64, not {text!r}")
    return int(height), int(width)


def _flows(text: str) -> tuple[int, ...] | None:
    """Flow numbers from `1,3`; None for `all`."""
    if text == "all":
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise SpecificationError(f"write the flows as 'all' or as numbers from 1, for example 1,3, not {text!r}")
    return tuple(int(part) for part in parts)
