"""A verification on a terminal: one line that moves while it runs, and a summary that says what is proven."""

import csv
import time
from collections.abc import Iterator
from dataclasses import astuple, fields
from pathlib import Path
from typing import TextIO

from verification.engine import AdversarialExample, BoundPoint, Observer, Result, Specification, Status
from verification.engine.certificate import Certificate
from verification.engine.mirror import pair_sentence
from verification.engine.perturbation import Distortion, Norm, Unit
from verification.engine.result import Answer, Turn
from verification.engine.rounded import lower_bound, upper_bound
from verification.services.distortions import free_parameters, one_number, subject

_REFRESH_SECONDS = 0.2
_CLEAR = "\r\x1b[K"
_NORMS = {Norm.L1: "L1", Norm.L2: "L2", Norm.LINF: "L-infinity"}


class TerminalObserver(Observer):
    """Shows progress on `stream` if that is a terminal, nothing otherwise. `unit`: of the bounds. `stop` ends the run soon.

    `record`: the file for the players' turns. `written`: the certificate, once there is one.
    """

    def __init__(self, stream: TextIO, unit: Unit, record: Path | None = None) -> None:
        self._record = record
        self._stream, self._unit = stream, unit
        self._visible = stream.isatty()
        self.written: Certificate | None = None
        self.reason = ""  #: why there is no certificate
        self._point: BoundPoint | None = None
        self._began = self._drawn = time.monotonic()
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True

    def bounds(self, point: BoundPoint) -> None:
        self._point = point
        self._draw()

    def turns(self, turns: Iterator[Turn]) -> None:
        if self._record is None:
            return
        with self._record.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(field.name for field in fields(Turn))
            rows.writerows(astuple(turn) for turn in turns)

    def certificate(self, certificate: Certificate) -> None:
        self.written = certificate

    def uncertified(self, reason: str) -> None:
        self.reason = reason

    def event(self, text: str) -> None:
        if self._visible:
            self._stream.write(f"{_CLEAR}{text}\n")
            self._draw()

    def should_stop(self) -> bool:
        if time.monotonic() - self._drawn >= _REFRESH_SECONDS:
            self._draw()
        return self._stopping

    def close(self) -> None:
        """Take the moving line away."""
        if self._visible:
            self._stream.write(_CLEAR)
            self._stream.flush()

    def _draw(self) -> None:
        if not self._visible or self._point is None:
            return
        self._drawn = time.monotonic()
        elapsed = f"{self._drawn - self._began:6.1f} s"
        self._stream.write(_CLEAR + "  ".join([elapsed, *_figures(self._unit, self._point.lower, self._point.upper)]))
        self._stream.flush()


def _figures(unit: Unit, lower: float, upper: float | None) -> list[str]:
    ratio = f"ratio {upper_bound(upper / lower)}" if upper is not None and lower > 0 else "ratio -"
    found = "upper -" if upper is None else f"upper {unit.found(upper)}"
    return [f"lower {unit.proven(lower)}", found, ratio]


def summary(specification: Specification, result: Result) -> str:
    """A few lines for people: the class, what is proven, what was found, and why the run ended."""
    name, unit = specification.classifier.labels[result.label], specification.unit
    lines = [
        f"{specification.clip.name} is classified as {name} ({result.confidence:.1%}).",
        *_mirrored(specification, result),
        _distance(specification),
        _proven(specification, result),
        _found(specification, result),
    ]
    if result.upper is not None:
        figures = f"between {unit.proven(result.lower)} and {unit.found(result.upper)}"
        ratio = f", a ratio of {upper_bound(result.upper / result.lower)}" if result.lower > 0 else ""
        lines.append(f"The maximum safe radius lies {figures}{ratio}.")
    lines += _answer(specification, result)
    return "\n".join([*lines, f"{_ENDS[result.status]} after {result.seconds:.1f} s."])


def _mirrored(specification: Specification, result: Result) -> list[str]:
    if result.mirror is None:
        return []
    return [pair_sentence(result.mirror, result.label, result.confidence, specification.classifier.labels)]


_ENDS = {
    Status.CONVERGED: "Ended because the bounds have met within the tolerance,",
    Status.CERTIFIED: "Ended because all that was asked about is proven safe,",
    Status.REFUTED: "Ended because an adversarial example answers the query,",
    Status.EXHAUSTED: "Ended because the budget was spent,",
    Status.STOPPED: "Stopped",
}


def _answer(specification: Specification, result: Result) -> list[str]:
    if not specification.query or specification.radius is None:
        return []
    asked = specification.unit.plain(specification.radius)
    return [f"Is the radius of {asked} safe? {_ANSWERS[result.answer(specification.radius)]}"]


_ANSWERS = {
    Answer.SAFE: "Safe: proven for every change within it.",
    Answer.UNSAFE: "Unsafe: there is an adversarial example within it.",
    Answer.UNKNOWN: "Unknown: neither a proof nor an example was found. A larger budget may help.",
}


def _distance(specification: Specification) -> str:
    """How what is changed is measured."""
    space, norm, unit = specification.build_space(), _NORMS[specification.norm], specification.unit.definition
    if not isinstance(space, Distortion):
        what = _what_may_change(specification)
        return f"Distance: the {norm} norm, in {unit}, of the change of {what} (space {specification.space})."
    measured = "by how much it changes" if one_number(space) else f"the {norm} norm of their changes"
    free = free_parameters(space)
    anything = f"; {free} may be anything" if free else ""
    return f"Distortion: {subject(space, specification.space)}. Distance: {measured}, in {unit}{anything}."


def _what_may_change(specification: Specification) -> str:
    if specification.unit is Unit.VALUE:
        return "the clip's pixels"
    if specification.flows is None:
        return "the clip's optical flow"
    numbers = ", ".join(map(str, specification.flows))
    return f"the clip's optical flow{'' if len(specification.flows) == 1 else 's'} {numbers}"


def _proven(specification: Specification, result: Result) -> str:
    if result.lower <= 0:
        return "Nothing is proven yet: the lower bound is 0. A longer run may help."
    if result.status is Status.CERTIFIED and specification.radius is None:
        return (
            f"Proven: no strength of this distortion alters the class, up to {specification.unit.proven(result.lower)}."
        )
    if result.status is Status.CERTIFIED:
        return f"Proven: there is no adversarial example within {specification.unit.proven(result.lower)}."
    return f"Proven: no change of less than {specification.unit.proven(result.lower)} alters the class."


def _found(specification: Specification, result: Result) -> str:
    example = result.adversarial
    if example is None:
        within = "" if specification.radius is None else f" within {specification.unit.plain(specification.radius)}"
        surviving = " that survives 8 bits" if specification.eight_bit else ""
        return f"Found: no adversarial example{within}{surviving}."
    rounding = "also" if example.survives_rounding else "but not"
    return (
        f"Found: a change of {specification.unit.found(example.distances[specification.norm])} makes it "
        f"{specification.classifier.labels[example.label]} ({example.confidence:.1%}), {rounding} after the frames are "
        f"rounded to 8 bits. {_likeness(example)}"
    )


def _likeness(example: AdversarialExample) -> str:
    """How much of it can be seen, by its worst frame; rounded down, so that it is at least as alike."""
    seen = example.quality
    if seen.psnr_worst is None:
        return "Its frames are identical."
    return f"In its worst frame PSNR is {lower_bound(seen.psnr_worst)} dB and SSIM {lower_bound(seen.ssim_worst)}."
