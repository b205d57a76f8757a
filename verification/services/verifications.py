"""Asking a question, stopping it, and reading its bounds."""

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from verification.engine.clip import Part, sampled_frames
from verification.engine.errors import EngineError
from verification.engine.flow import DEFAULT_EXTRACTOR, build_extractor
from verification.engine.perturbation import Norm, Unit, check_space, is_distortion, unit_of
from verification.engine.specification import LowerMethod, UpperMethod
from verification.live.publish import publish_status
from verification.models import Bound, Classifier, Verification, Video
from verification.services.classifiers import stored_options
from verification.services.errors import Conflict, Invalid
from verification.services.incoming import refusal, sentence
from verification.services.reading import read_classifier
from verification.services.teams import require_member

MAX_SECONDS = 24 * 3600.0
MAX_SEED = 2**63 - 1
#: Characters in which a space may be written.
MAX_SPACE = 255
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def create_verification(
    user: User,
    video: Video,
    classifier: Classifier,
    *,
    frames: int | None = None,
    first: int | None = None,
    last: int | None = None,
    mirrored: bool = False,
    norm: str = "l2",
    space: str = "dense",
    flows: Sequence[int] | None = None,
    radius: float | None = None,
    lower_method: str = "cells",
    tau: float | None = None,
    upper_method: str = "gradient",
    query: bool = False,
    eight_bit: bool = False,
    certificate: bool = False,
    seconds: float = 60.0,
    seed: int = 0,
    sampling: str | None = None,
    extractor: str = DEFAULT_EXTRACTOR,
    device: str = "auto",
    name: str = "",
) -> Verification:
    """Queue the question; frames and sampling default to the classifier's own, `first` to `last` to the whole video.

    Frames of the video and `flows` count from 1; None for `flows` means all; `radius` in the unit of the space, None means no
    limit. `mirrored`: the clip is mirrored left to right, and the question asked of that. `eight_bit`: only examples whose class
    change survives the rounding of the frames to 8 bits count. `certificate`: of the lower bound, written when that is final.
    Raises Invalid, with the field that is wrong, or NotAllowed; then nothing is saved.
    """
    require_member(user, video.team)
    if classifier.team_id != video.team_id:
        raise Invalid("The video and the classifier belong to different teams.", "classifier")
    question = Verification(
        team=video.team,
        video=video,
        classifier=classifier,
        created_by=user,
        name=_checked_text(name),
        frames=classifier.frames if frames is None else frames,
        sampling=sampling or classifier.sampling,
        first=1 if first is None else first,
        last=last,
        mirrored=mirrored,
        norm=_one_of("norm", norm, [str(known) for known in Norm]),
        space=space,
        flows=None if flows is None else sorted(set(flows)),
        radius=_checked_radius(radius, unit_of(space)),
        lower_method=_checked_lower_method(lower_method, space),
        tau=_checked_tau(tau, lower_method),
        upper_method=_checked_upper_method(upper_method, space),
        query=_checked_query(query, radius),
        eight_bit=eight_bit,
        certificate=certificate,
        seconds=_checked_seconds(seconds),
        seed=_checked_seed(seed),
        extractor=_checked_extractor(extractor, classifier),
        device=_checked_device(device),
    )
    _check_clip(question)
    _check_space(question)
    _check_classifier(question)
    with transaction.atomic():
        question.save(force_insert=True)
        # The broker may be away; workers look for what waits (`enqueue_waiting`).
        transaction.on_commit(lambda: enqueue(question), robust=True)
    return question


def enqueue(verification: Verification) -> None:
    """Ask a worker to run it. Asking twice is harmless: a claim decides who runs it."""
    from verification.jobs.actors import run_verification  # which itself calls services

    run_verification.send(str(verification.pk))


def enqueue_waiting() -> int:
    """Ask again for everything that waits, because the broker may have been away; returns how many.

    That is: queued, or running under a lease that has expired.
    """
    now = timezone.now()
    waiting = Verification.objects.filter(status=Verification.Status.QUEUED) | Verification.objects.filter(
        status=Verification.Status.RUNNING, lease_expires_at__lt=now
    )
    verifications = list(waiting.order_by("created_at"))
    for verification in verifications:
        enqueue(verification)
    return len(verifications)


def cancel(user: User, verification: Verification) -> None:
    """Stop it and keep its bounds: at once when it is queued, else as soon as the worker looks.

    Raises Conflict when it has ended already, NotAllowed.
    """
    require_member(user, verification.team)
    rows = Verification.objects.filter(pk=verification.pk)
    with transaction.atomic():
        stopped = rows.filter(status=Verification.Status.QUEUED).update(
            status=Verification.Status.CANCELLED, cancel_requested=True, finished_at=timezone.now()
        )
        asked = rows.filter(status=Verification.Status.RUNNING).update(cancel_requested=True)
    verification.refresh_from_db()
    if not stopped and not asked:
        raise Conflict("This verification has ended already; there is nothing to cancel.")
    if stopped:
        publish_status(verification)


def bounds_since(verification: Verification, number: int) -> QuerySet[Bound]:
    """The bounds after number `number`, in order."""
    return Bound.objects.filter(verification=verification, number__gt=number).order_by("number")


def _check_clip(question: Verification) -> None:
    video = question.video
    if question.frames < 2:
        raise Invalid(f"A clip needs at least 2 frames, not {question.frames}.", "frames")
    try:
        there = len(question.part.within(video.frames))
    except EngineError as error:
        raise Invalid(sentence(error), "last" if 1 <= question.first <= video.frames else "first") from error
    if question.frames > there:
        where = "The video has" if question.part == Part() else "This part of the video has"
        raise Invalid(
            f"{where} {there} frames, fewer than the {question.frames} asked for: "
            "take a longer part or video, or fewer frames.",
            "frames",
        )
    try:
        sampled_frames(video.info, question.frames, question.sampling, question.part)
    except EngineError as error:
        raise Invalid(sentence(error), "sampling") from error


def _check_space(question: Verification) -> None:
    classifier = question.classifier
    flows = None if question.flows is None else tuple(question.flows)
    if len(question.space) > MAX_SPACE:
        raise Invalid(f"The space is written in more than {MAX_SPACE} characters.", "space")
    try:
        check_space(question.space, question.frames, classifier.height, classifier.width)
    except EngineError as error:
        raise Invalid(sentence(error), "space") from error
    try:
        check_space(question.space, question.frames, classifier.height, classifier.width, flows)
    except EngineError as error:
        raise Invalid(sentence(error), "flows") from error


def _check_classifier(question: Verification) -> None:
    """A clip of another length than the classifier was stored with: can its architecture take it?"""
    classifier = question.classifier
    if question.frames == classifier.frames:
        return
    try:
        read_classifier(
            Path(classifier.file.path), classifier.name, stored_options(classifier) | {"frames": question.frames}
        )
    except EngineError as error:
        raise refusal(error, Path(classifier.file.path), classifier.name, "frames") from error


def _one_of(field: str, value: str, known: Iterable[str]) -> str:
    known = list(known)
    if value not in known:
        raise Invalid(f"There is no {field} “{value}”; choose one of {', '.join(known)}.", field)
    return value


def _checked_extractor(text: str, classifier: Classifier) -> str:
    """The one spelling of what was asked for."""
    try:
        extractor = build_extractor(text)
        extractor.check_size(classifier.height, classifier.width)
    except EngineError as error:
        raise Invalid(sentence(error), "extractor") from error
    return extractor.spelled


def _checked_radius(radius: float | None, unit: Unit) -> float | None:
    if radius is not None and not (math.isfinite(radius) and radius > 0):
        raise Invalid(
            f"The radius must be above zero, not {radius:g}: it is a distance in {unit.definition}.", "radius"
        )
    return radius


def _checked_lower_method(lower_method: str, space: str) -> str:
    _one_of("lower_method", lower_method, [str(known) for known in LowerMethod])
    if is_distortion(space) and lower_method != LowerMethod.CELLS:
        raise Invalid("Natural distortions are proven by cells: leave the proof at cells.", "lower_method")
    if lower_method == LowerMethod.GRID and unit_of(space) is not Unit.FLOW:
        raise Invalid(
            "The grid is made of manipulations of the flow: choose a space of flows, such as dense.", "lower_method"
        )
    return lower_method


def _checked_tau(tau: float | None, lower_method: str) -> float | None:
    if tau is not None and lower_method != LowerMethod.GRID:
        raise Invalid("Tau is the step of a grid: choose the grid, or leave it empty.", "tau")
    if tau is not None and not (math.isfinite(tau) and tau > 0):
        raise Invalid(f"Tau must be a length above zero, in pixels of flow, not {tau:g}.", "tau")
    return tau


def _checked_upper_method(upper_method: str, space: str) -> str:
    _one_of("upper_method", upper_method, [str(known) for known in UpperMethod])
    if upper_method == UpperMethod.FINITE_DIFFERENCE and unit_of(space) is not Unit.FLOW:
        raise Invalid(
            "Finite differences are taken of the flow: choose a space of flows, such as dense, or the exact gradient.",
            "upper_method",
        )
    return upper_method


def _checked_query(query: bool, radius: float | None) -> bool:
    if query and radius is None:
        raise Invalid("To ask only whether a radius is safe, name the radius.", "radius")
    return query


def _checked_seconds(seconds: float) -> float:
    if not (math.isfinite(seconds) and 0 < seconds <= MAX_SECONDS):
        raise Invalid(
            f"The budget must be above zero and at most {MAX_SECONDS:.0f} seconds, not {seconds:g}.",
            "seconds",
        )
    return seconds


def _checked_seed(seed: int) -> int:
    if not 0 <= seed <= MAX_SEED:
        raise Invalid(f"The seed must be a whole number from 0 to {MAX_SEED}.", "seed")
    return seed


def _checked_device(device: str) -> str:
    if not _DEVICE.fullmatch(device):
        raise Invalid(f"There is no device “{device}”; choose auto, cpu or cuda.", "device")
    return device


def _checked_text(name: str) -> str:
    if len(name.strip()) > 200:
        raise Invalid("The name is longer than 200 characters.", "name")
    return name.strip()
