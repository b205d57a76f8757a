"""One verification from claim to end: read, run, record. However it ends, its state says so."""

import gc
import logging
import threading
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import torch
from django.conf import settings
from django.db import DatabaseError

from verification.engine import (
    Budget,
    CheckpointError,
    EngineError,
    LowerMethod,
    Norm,
    Result,
    Specification,
    Status,
    UpperMethod,
    verify,
)
from verification.engine.network import check_clip
from verification.jobs.files import result_file
from verification.jobs.lease import OWNER, Lease
from verification.jobs.recorder import Recorder, StopReason
from verification.live.publish import publish_status
from verification.models import Verification
from verification.services import artifacts, recording
from verification.services.classifiers import load_stored
from verification.services.devices import usable_device
from verification.services.errors import LeaseLost, ServiceError
from verification.services.incoming import sentence
from verification.services.reading import sample_clip

logger = logging.getLogger(__name__)

#: Set while a verification runs in this process.
busy = threading.Event()


def run(verification_id: UUID) -> None:
    """Run a verification that waits, or go on with it; does nothing for one that is taken or has ended."""
    verification = recording.claim(verification_id, OWNER)
    if verification is None:
        return
    logger.info("verification %s: attempt %d", verification.pk, verification.attempts)
    busy.set()
    publish_status(verification)
    try:
        with Lease(verification) as lease:
            _run_and_record(verification, lease)
    finally:
        busy.clear()
        if now := Verification.objects.filter(pk=verification.pk).first():
            publish_status(now)
        gc.collect()  # tensors in cycles would stay until long after the next job has begun


def _run_and_record(verification: Verification, lease: Lease) -> None:
    try:
        specification = _specification(verification)
        recorder = _recorder(verification, specification, lease)
        result = _verify(verification, specification, recorder)
        recorder.flush()
        _end(verification, specification, result, recorder, lease)
    except LeaseLost as error:
        logger.warning("%s", error)
    except DatabaseError:
        raise  # the lease runs out and the verification is tried again
    except EngineError as error:
        recording.fail(verification, sentence(error))
    except ServiceError as error:
        recording.fail(verification, str(error))
    except (MemoryError, torch.OutOfMemoryError):
        recording.fail(verification, "There was not enough memory. Try fewer or smaller frames.")
    except Exception as error:
        logger.exception("verification %s failed", verification.pk)
        recording.fail(
            verification,
            f"An unexpected error ended the run ({type(error).__name__}: {error}). The bounds found so far "
            "hold; the log of the worker says more.",
        )


def _specification(verification: Verification) -> Specification:
    """The question in the engine's terms. Raises EngineError when a file or device is not there any more."""
    classifier, video = verification.classifier, verification.video
    clip = sample_clip(
        Path(video.file.path),
        frames=verification.frames,
        size=(classifier.height, classifier.width),
        sampling=verification.sampling,
        part=verification.part,
        name=video.name,
    ).oriented(verification.mirrored)
    loaded = load_stored(classifier, verification.frames, verification.sampling)
    check_clip(loaded, classifier.file.path, clip.frames)
    return Specification(
        clip=clip,
        classifier=loaded,
        norm=Norm(verification.norm),
        space=verification.space,
        flows=None if verification.flows is None else tuple(verification.flows),
        radius=verification.radius,
        tau=verification.tau,
        query=verification.query,
        eight_bit=verification.eight_bit,
        lower_method=LowerMethod(verification.lower_method),
        upper_method=UpperMethod(verification.upper_method),
        budget=Budget(seconds=verification.seconds, memory=settings.FLOWVERIFY_MEMORY_GB),
        seed=verification.seed,
        extractor=verification.extractor,
        device=usable_device(verification.device),
    )


def _recorder(verification: Verification, specification: Specification, lease: Lease) -> Recorder:
    frames = specification.clip.frames
    return Recorder(verification, lease, frames, specification.extract_flow())


def _verify(verification: Verification, specification: Specification, recorder: Recorder) -> Result:
    """Run the engine from the checkpoint if there is one that it accepts."""
    checkpoint = recording.load_checkpoint(verification)
    while True:
        try:
            return verify(specification, recorder, checkpoint, verification.certificate)
        except CheckpointError as error:
            recorder.event(f"{sentence(error)}. The run begins anew; the bounds found so far stay.")
            checkpoint = None


def _end(
    verification: Verification, specification: Specification, result: Result, recorder: Recorder, lease: Lease
) -> None:
    if recorder.unwritten:
        result = replace(result, status=Status.STOPPED)  # the search may have ended by itself before
    if result.status is not Status.STOPPED or recorder.reason is StopReason.CANCELLED:
        artifacts.record_artifacts(verification, [result_file(verification, specification, result)])
        recording.finish(verification, result.status, lease.elapsed, result.lower_grey_levels)
    elif recorder.reason is StopReason.SHUTDOWN:
        # No new message: the sweep of the next worker that is idle finds it.
        recorder.event("The server is stopping; the run goes on when it is back.")
        recording.release(verification)
