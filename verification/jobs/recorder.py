"""Writes down what the engine says: the database first, open sockets second."""

import time
from enum import Enum, auto

from torch import Tensor

from verification.engine import AdversarialExample, BoundPoint, Observer
from verification.engine.artifacts import adversarial_files, original_files
from verification.engine.certificate import Certificate
from verification.engine.mirror import MirrorPair
from verification.engine.perturbation import unit_of
from verification.engine.result import GamePicture, GridPicture
from verification.jobs.files import as_artifacts, certificate_file
from verification.jobs.interruption import stopping
from verification.jobs.lease import Lease
from verification.live import publish
from verification.live.payloads import as_example, as_game, as_point
from verification.models import Verification
from verification.services import artifacts, recording
from verification.services.incoming import sentence

#: Bounds that come faster than this are written together; every one of them is written.
BOUNDS_SECONDS = 0.1
#: Between two looks at whether somebody wants this run to end.
STOP_SECONDS = 0.5
#: Pictures are for people: no more often than this, and never more than a twentieth of the time.
PICTURES_SECONDS, PICTURES_SHARE = 3.0, 20.0
#: Between two pictures of the game.
GAME_SECONDS = 1.0
#: Between two checkpoints; what happens in between is computed again after a crash.
CHECKPOINT_SECONDS = 2.0


class StopReason(Enum):
    """Why the engine was asked to stop."""

    CANCELLED = auto()
    SHUTDOWN = auto()
    LEASE_LOST = auto()


class Schedule:
    """Says when something is due that shall not happen too often."""

    def __init__(self, seconds: float, share: float = 0.0) -> None:
        self._seconds = seconds
        self._share = share
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Whether enough time has passed since it was done."""
        return time.monotonic() >= self._next

    def done(self, took: float = 0.0) -> None:
        """It has been done just now and took that many seconds."""
        self._next = time.monotonic() + max(self._seconds, self._share * took)


class Recorder(Observer):
    """The engine's observer for one claimed verification. All calls come from the thread of the engine.

    `flow`: P(v), (l-1, 2, h, w), pixels, drawn beside the adversarial flows; None where no flow is changed.
    """

    def __init__(self, verification: Verification, lease: Lease, frames: Tensor, flow: Tensor | None) -> None:
        self.reason: StopReason | None = None
        self.unwritten = False  #: the engine was asked to stop before the certificate was there
        self._verification = verification
        self._lease = lease
        self._frames = frames
        self._flow = flow
        self._points: list[BoundPoint] = []
        self._example: AdversarialExample | None = None
        self._picture: GamePicture | GridPicture | None = None
        self._state: bytes | None = None
        self._progress = False
        self._bounds = Schedule(BOUNDS_SECONDS)
        self._pictures = Schedule(PICTURES_SECONDS, PICTURES_SHARE)
        self._games = Schedule(GAME_SECONDS)
        self._checkpoints = Schedule(CHECKPOINT_SECONDS)
        self._stop = Schedule(STOP_SECONDS)

    # --- What the engine calls ---

    def started(self, label: int, confidence: float) -> None:
        recording.record_start(self._verification, label, confidence)
        publish.publish_status(self._verification)
        if not self._verification.artifacts.exists():
            files = original_files(self._frames, self._flow)
            artifacts.record_artifacts(self._verification, as_artifacts(files))

    def mirrored(self, pair: MirrorPair) -> None:
        # Before the class is known: with that, the pages read all of it.
        recording.record_given(self._verification, pair.label, pair.confidence)

    def bounds(self, point: BoundPoint) -> None:
        self._points.append(point)
        self._write_what_is_due()

    def adversarial(self, example: AdversarialExample) -> None:
        self._example = example
        self._write_what_is_due()

    def game(self, picture: GamePicture | GridPicture) -> None:
        self._picture = picture
        self._write_what_is_due()

    def event(self, text: str) -> None:
        event = recording.record_event(self._verification, self._lease.elapsed, text)
        publish.publish_event(self._verification.pk, event.number, event.seconds, event.text)

    def certifying(self) -> None:
        self.flush()  # the bounds are final; what dies from here on has to write the certificate only
        recording.record_certifying(self._verification)
        publish.publish_status(self._verification)

    def certificate(self, certificate: Certificate) -> None:
        artifacts.record_certificate(self._verification, certificate.radius, certificate_file(certificate))
        radius = unit_of(self._verification.space).proven(certificate.radius)
        self.event(f"The certificate is written. It proves a radius of {radius}.")

    def uncertified(self, reason: str) -> None:
        self.unwritten = self.reason is not None
        if self.reason in {StopReason.SHUTDOWN, StopReason.LEASE_LOST}:
            return  # another attempt will write it
        reason = sentence(reason).rstrip(".") + "."
        if recording.record_uncertified(self._verification, reason):
            self.event(f"No certificate. {reason}")
            publish.publish_status(self._verification)

    def checkpoint(self, state: bytes) -> None:
        self._state = state
        self._write_what_is_due()

    def should_stop(self) -> bool:
        self._write_what_is_due()
        if self.reason is None and self._stop.due:
            self._stop.done()
            self.reason = self._why_stop()
        return self.reason is not None

    # --- What is done with it ---

    def flush(self) -> None:
        """Write everything that is still waiting for its time; when the engine has ended."""
        self._write_points()
        self._write_game()
        self._write_example()
        self._write_checkpoint()

    def _write_what_is_due(self) -> None:
        if self._points and self._bounds.due:
            self._write_points()
        if self._picture is not None and self._games.due:
            self._write_game()
        if self._example is not None and self._pictures.due:
            self._write_points()
            self._write_example()
        if self._state is not None and self._checkpoints.due:
            self._write_points()
            self._write_checkpoint()

    def _write_points(self) -> None:
        points, self._points = self._points, []
        bounds = (recording.record_bound(self._verification, point) for point in points)
        written = [as_point(bound) for bound in bounds if bound is not None]
        if written:
            self._progress = True
            publish.publish_bounds(self._verification.pk, written)
        self._bounds.done()

    def _write_game(self) -> None:
        picture, self._picture = self._picture, None
        if picture is not None:
            game = as_game(picture)
            recording.record_game(self._verification, game)
            publish.publish_game(self._verification.pk, game)
            self._games.done()

    def _write_example(self) -> None:
        example, self._example = self._example, None
        if example is None:
            return
        began = time.monotonic()
        realisation = example.realisation
        revision = artifacts.record_adversarial(
            self._verification,
            label=example.label,
            confidence=example.confidence,
            realisation_rms=None if realisation is None else realisation.rms,
            realisation_median=None if realisation is None else realisation.median,
            example=as_example(example),
            files=as_artifacts(adversarial_files(self._frames, self._flow, example)),
        )
        publish.publish_adversarial(self._verification.pk, example.label, example.confidence, revision)
        self._pictures.done(time.monotonic() - began)

    def _write_checkpoint(self) -> None:
        state, self._state = self._state, None
        if state is None:
            return
        recording.save_checkpoint(self._verification, state)
        if self._progress:
            # Only attempts that get nowhere count against a verification.
            recording.record_fields(self._verification, attempts=1)
            self._progress = False
        self._checkpoints.done()

    def _why_stop(self) -> StopReason | None:
        if self._lease.lost.is_set():
            return StopReason.LEASE_LOST
        if stopping.is_set():
            return StopReason.SHUTDOWN
        asked = Verification.objects.filter(pk=self._verification.pk, cancel_requested=True).exists()
        return StopReason.CANCELLED if asked else None
