"""The anytime loop: slices of the search for adversarial examples and of the proof take turns until the budget is spent.

An upper bound helps the proof to choose its radii, so the search begins; then both get their shares of the time. One is
never slowed by the other once that has finished.
"""

import math
import time
from dataclasses import dataclass

import torch

from verification.engine.bounds.problem import Problem
from verification.engine.certificate import CertificateError, certify
from verification.engine.checkpoint import PROOF, Checkpoint, fingerprint
from verification.engine.clip.rounding import GREY_LEVELS
from verification.engine.errors import Stopped, UnsupportedOperationError
from verification.engine.flow import build_extractor
from verification.engine.game.play import Play, build_proof
from verification.engine.ledger import Ledger
from verification.engine.mirror import MirrorPair, pair_sentence
from verification.engine.observer import Observer
from verification.engine.perturbation import Distortion
from verification.engine.result import AdversarialExample, BoundPoint, Guarantee, Result, Status
from verification.engine.search import EightBitProblem, build_search, confirm
from verification.engine.specification import Specification

_HEAD_START = (3.0, 0.15)  # the search goes first for at most that many seconds, and that share of the budget
_LEAST_SECONDS = 2.0  # of work that a first run gets, however long the preparation took
_SLICE_SECONDS = 0.5
_LONG = 0.05  # share of the budget: where a slice of the proof takes longer, the search has its share of the rest first
_SLICE = 16  # evaluations of a search slice when rounds are counted
_ASK_SECONDS = 0.2  # between two questions whether to stop
_PICTURE_SECONDS = 0.5
_CHECKPOINT_SECONDS = 2.0
_CHECKPOINT_SHARE = 0.05  # of the time: millions of cells take long to write


def verify(
    specification: Specification,
    observer: Observer | None = None,
    checkpoint: bytes | None = None,
    certified: bool = False,
) -> Result:
    """Bound the maximum safe radius of the clip from both sides until the budget is spent (engine contract, section 4).

    Goes on from `checkpoint`, as the observer received it, whose time counts towards the budget; the observer is then
    told new points only. With `certified` the observer is given the lower bound as a certificate in the end, which takes time of
    its own. Raises ClassifierError, UnsupportedOperationError, SpecificationError or CheckpointError; when the observer asks to
    stop, the bounds found so far are the result.
    """
    observer = observer or Observer()
    question = fingerprint(specification)
    earlier = None if checkpoint is None else Checkpoint.from_bytes(checkpoint, question)
    return _Run(specification, observer, question, earlier).result(certified)


@dataclass
class _Clock:
    """Seconds of work, over all runs of the same question."""

    before: float
    began: float

    @property
    def now(self) -> float:
        return self.before + time.monotonic() - self.began


class _Run:
    """One call of `verify`: the question, both searches, and what is known so far."""

    def __init__(
        self, specification: Specification, observer: Observer, question: str, earlier: Checkpoint | None
    ) -> None:
        self.specification, self.observer, self.question = specification, observer, question
        self.clock = _Clock(earlier.elapsed if earlier else 0.0, time.monotonic())
        self.rounds = earlier.rounds if earlier else 0
        self.stopped = False
        self._asked = self._saved = self._shown = time.monotonic()
        self._unsaved, self._pause = False, _CHECKPOINT_SECONDS
        self._spent = {"search": 0.0, "proof": 0.0}
        self._last_proof = 0.0  # seconds of the last slice of it
        self._evaluations = _SLICE
        self._prepare(earlier)
        least = 0.0 if earlier else self.clock.now + _LEAST_SECONDS
        self._deadline = max(specification.budget.seconds, least)

    def _prepare(self, earlier: Checkpoint | None) -> None:
        specification, observer = self.specification, self.observer
        self.problem = Problem.build(specification)
        self.confidence = self._decision(self.problem.frames)[1]
        self.mirror = self._mirror_pair()
        if self.mirror is not None:
            observer.mirrored(self.mirror)
        observer.started(self.problem.label, self.confidence)
        self.extractor = build_extractor(specification.extractor)
        self.flow = specification.extract_flow()
        asked = EightBitProblem.of(self.problem) if specification.eight_bit else self.problem
        self.search = build_search(specification, asked)
        room = specification.budget.memory * 1e9
        self.proof = build_proof(specification, self.problem, room)
        self.adversarial: AdversarialExample | None = None
        self.found: torch.Tensor | None = None
        self.ledger = Ledger(earlier.history if earlier else ())
        if earlier is None:
            observer.bounds(self.ledger.last)
        else:
            self._restore(earlier)

    def _decision(self, frames: torch.Tensor) -> tuple[int, float]:
        """Class and softmax confidence of a clip (l, 3, h, w), in float64."""
        with torch.no_grad():
            logits = self.problem.logits_of(frames.double())
        label = int(logits.argmax())
        return label, float(logits.softmax(0)[label])

    def _mirror_pair(self) -> MirrorPair | None:
        """None where the clip is not mirrored."""
        clip = self.specification.clip
        if not clip.mirrored:
            return None
        label, confidence = self._decision(clip.oriented(mirrored=False).frames.to(self.problem.frames.device))
        return MirrorPair(label, confidence, agrees=label == self.problem.label)

    def _restore(self, earlier: Checkpoint) -> None:
        self.search.restore(earlier.search, earlier.tensors)
        own = {name.removeprefix(PROOF): part for name, part in earlier.tensors.items() if name.startswith(PROOF)}
        self.proof.restore(earlier.proof, own)
        if "found" in earlier.tensors:
            # Confirmed again rather than believed: the clip and its evaluation are not in the checkpoint.
            self.found = earlier.tensors["found"].to(self.problem.frames.device)
            confirmed = self._confirm(self.found, self.specification.radius)
            self.adversarial = confirmed[0] if confirmed else None

    def result(self, certified: bool) -> Result:
        """Work until there is a reason to end."""
        self._say_what_is_known()
        status = self._status()
        while status is None:
            try:
                self._check()
                self._round()
            except Stopped:
                pass  # the status tells why
            status = self._status()
        self._show_game(force=True)
        self._save(force=True)
        last = self.ledger.last
        result = Result(
            label=self.problem.label,
            confidence=self.confidence,
            lower=last.lower,
            lower_guarantee=Guarantee.SOUND,
            upper=last.upper,
            adversarial=self.adversarial,
            status=status,
            seconds=self.clock.now,
            history=self.ledger.history,
            game=self.proof.picture(),
            mirror=self.mirror,
            lower_grey_levels=self._lower_grey_levels(last.lower),
        )
        self.observer.turns(self.proof.turns())
        if certified:
            self._certify()
        return result

    @property
    def _whole(self) -> float:
        """The radius that was asked for; of a natural distortion no more than there is."""
        asked = math.inf if self.specification.radius is None else self.specification.radius
        return min(asked, self.problem.farthest) if isinstance(self.problem.space, Distortion) else asked

    def _lower_grey_levels(self, lower: float) -> float | None:
        space = self.problem.space
        change = space.proven_change(self.problem.frames, lower) if isinstance(space, Distortion) else None
        return None if change is None else GREY_LEVELS * change

    def _certify(self) -> None:
        """Write the lower bound down, now that it is final: only a person stops this, not the budget."""
        cells = self.proof.cells if isinstance(self.proof, Play) else None
        try:
            self._check_person()  # a run that was stopped before does not begin with it
            self.observer.certifying()
            self.observer.event("Writing the certificate.")
            found = certify(self.problem, self.specification, cells, self.ledger.lower, self._check_person)
        except (CertificateError, UnsupportedOperationError) as error:
            self.observer.uncertified(str(error))
        except (MemoryError, torch.OutOfMemoryError):
            self.observer.uncertified("there was not enough memory to write it; the bounds hold all the same")
        else:
            self.observer.certificate(found)

    def _check_person(self) -> None:
        if self.observer.should_stop():
            raise CertificateError("stopped before the certificate was written; the bounds hold all the same")

    def _say_what_is_known(self) -> None:
        label, names = self.problem.label, self.specification.classifier.labels
        if self.rounds:
            self.observer.event(f"Going on after {self.clock.before:.0f} s.")
        elif self.mirror is not None:
            self.observer.event(pair_sentence(self.mirror, label, self.confidence, names))
        else:
            self.observer.event(f"The clip is classified as {names[label]}, confidence {100 * self.confidence:.1f} %.")

    def _status(self) -> Status | None:
        """Why to end now, or None to go on."""
        lower, upper, budget = self.ledger.lower, self.ledger.upper, self.specification.budget
        if lower >= self._whole:
            return Status.CERTIFIED
        if upper is not None and self.specification.query:
            return Status.REFUTED
        if upper is not None and lower >= (1 - budget.tolerance) * upper:
            return Status.CONVERGED
        if self.stopped:
            return Status.STOPPED
        if self.search.finished and self.proof.finished:
            return Status.EXHAUSTED  # nothing is left to do with the rest of the time
        spent = budget.rounds is not None and self.rounds >= budget.rounds
        return Status.EXHAUSTED if spent or self.clock.now >= self._deadline else None

    def _check(self) -> None:
        """Called often by everything that takes long. Raises Stopped when the run shall end."""
        now = time.monotonic()
        if now - self._asked >= _ASK_SECONDS:
            self._asked = now
            self.stopped = self.stopped or self.observer.should_stop()
        if self.stopped or self.clock.now >= self._deadline:
            raise Stopped

    def _round(self) -> None:
        """One slice of whichever is due."""
        name, work = ("search", self._search) if self._search_is_due() else ("proof", self._prove)
        began = time.monotonic()
        try:
            work()
        finally:
            took = time.monotonic() - began
            self._spent[name] += took
            self._last_proof = took if name == "proof" else self._last_proof
        self.rounds += 1
        self._save()

    def _search_is_due(self) -> bool:
        if self.proof.finished:
            return True
        if self.search.finished:
            return False
        if self.specification.budget.rounds is not None:
            return self.rounds % 2 == 0  # the clock has no say where runs shall be repeatable
        search, proof = self._spent["search"], self._spent["proof"]
        seconds, share = _HEAD_START
        if self.ledger.upper is None and search < min(seconds, share * self.specification.budget.seconds):
            return True
        # The next slice of the proof counts before it is taken. One of a large network may take all the time that is left.
        left = max(self._deadline - self.clock.now, 0.0)
        coming = left if self._last_proof > _LONG * self.specification.budget.seconds else self._last_proof
        return search <= self.search.share * (search + proof + coming)

    def _search(self) -> None:
        began = time.monotonic()
        candidate = self.search.step(self._check, self._evaluations)
        self._pace(time.monotonic() - began)
        self._unsaved = self._unsaved or self.search.laborious
        if self.search.finished:
            self.observer.event("The search for adversarial examples has nothing left to try.")
        if candidate is None or (self.ledger.upper is not None and candidate.norm >= self.ledger.upper):
            return
        limits = [limit for limit in (self.specification.radius, self.ledger.upper) if limit is not None]
        confirmed = self._confirm(candidate.a, min(limits, default=None))
        if confirmed is None:
            # Or the search would measure all that comes by a point that does not count, and tell of nothing any more.
            self.search.go_back(self.found)
            return
        example, a = confirmed
        first = self.ledger.upper is None
        point = self.ledger.find(example.distances[self.specification.norm], self.clock.now)
        if point is not None:
            self.adversarial, self.found = example, a
            self._tell(point)
            self.observer.adversarial(example)
            if first:
                away = self.specification.unit.found(example.distances[self.specification.norm])
                self.observer.event(
                    f"First adversarial example: {self._name(example.label)}, {away} away{self._rounding}."
                )

    def _confirm(self, a: torch.Tensor, limit: float | None) -> tuple[AdversarialExample, torch.Tensor] | None:
        return confirm(self.problem, a, self.flow, self.extractor, limit, self.specification.eight_bit)

    def _pace(self, took: float) -> None:
        """Fit the next slice into its time; with counted rounds every slice is the same."""
        if self.specification.budget.rounds is None and took > 0:
            fitting = self._evaluations * _SLICE_SECONDS / took
            self._evaluations = max(1, min(round(fitting), 4 * self._evaluations, 512))

    def _prove(self) -> None:
        proven = self.proof.step(self.ledger.upper, self._check)
        self._show_game()
        if proven is None:
            if self.proof.finished:
                self.observer.event("The proof has reached its largest radius; the search has the rest of the time.")
            return
        first = self.ledger.lower == 0
        point = self.ledger.prove(proven, self.clock.now)
        if point is not None:
            self._tell(point)
            if first:
                what, up_to = self.problem.space.subject, self.specification.unit.proven(point.lower)
                self.observer.event(f"First proof: no change of {what} up to {up_to} alters the class.")

    def _show_game(self, force: bool = False) -> None:
        """Show the players' state to whoever watches, but not too often; always at the end."""
        now = time.monotonic()
        if now - self._shown >= _PICTURE_SECONDS or force:
            self._shown = now
            picture = self.proof.picture()
            if picture is not None:
                self.observer.game(picture)

    def _tell(self, point: BoundPoint) -> None:
        self._unsaved = True
        self.observer.bounds(point)

    @property
    def _rounding(self) -> str:
        return ", also with its frames rounded to 8 bits" if self.specification.eight_bit else ""

    def _name(self, label: int) -> str:
        return self.specification.classifier.labels[label]

    def _save(self, force: bool = False) -> None:
        """Give the observer a checkpoint after news, but not too often; always at the end."""
        now = time.monotonic()
        if not force and not (self._unsaved and now - self._saved >= self._pause):
            return
        self._unsaved = False
        search, tensors = self.search.state()
        if self.found is not None:
            tensors["found"] = self.found
        proof, own = self.proof.state()
        tensors |= {PROOF + name: part for name, part in own.items()}
        self.observer.checkpoint(
            Checkpoint(
                fingerprint=self.question,
                elapsed=self.clock.now,
                rounds=self.rounds,
                history=self.ledger.history,
                search=search,
                proof=proof,
                tensors=tensors,
            ).to_bytes()
        )
        self._saved = time.monotonic()
        self._pause = max(_CHECKPOINT_SECONDS, (self._saved - now) / _CHECKPOINT_SHARE)
