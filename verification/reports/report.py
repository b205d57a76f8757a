"""A report, put together from what was recorded; nothing is computed anew."""

import json
import uuid
from dataclasses import dataclass

from django.utils import timezone

from verification.engine import rounded
from verification.engine.clip import Part
from verification.engine.perturbation import Unit
from verification.models import Artifact, Verification
from verification.reports import certificates, examples, explanations, figures, history, numbers, terms, wording
from verification.reports.certificates import CertificatePart
from verification.reports.commands import verify_command
from verification.reports.examples import ExamplePart
from verification.reports.explanations import Explanation, Realisation
from verification.reports.facts import Facts
from verification.reports.figures import Download, Pair
from verification.reports.history import Point


@dataclass(frozen=True)
class TableRow:
    """One line of the table of bounds, as text."""

    time: str
    lower: str
    upper: str
    ratio: str


@dataclass(frozen=True)
class NamedFact:
    """One line of what is needed to repeat the verification; `code` sets it in a fixed-width font."""

    name: str
    value: str
    code: bool = False


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    id: uuid.UUID
    title: str
    facts: Facts
    status: str
    headline: str
    summary: str
    upper_guarantee: str
    realisation: Realisation | None
    explanations: list[Explanation]
    chart: str  #: properties of the `report` island, JSON
    table: list[TableRow]
    table_caption: str
    certificate: CertificatePart | None
    example: ExamplePart | None
    pairs: list[Pair]
    downloads: list[Download]
    reproducibility: list[NamedFact]
    command: str


def build(verification: Verification, share: str | None = None) -> Report:
    """The report as of now; `share` is the token by which pictures open for readers without an account."""
    facts = facts_of(verification)
    points = history.read(verification)
    artifacts = list(Artifact.objects.filter(verification=verification))
    shown = history.thin(points, history.TABLE_ROWS)
    address = figures.addresses(share)
    return Report(
        id=verification.pk,
        title=str(verification),
        facts=facts,
        status=verification.get_status_display(),
        headline=numbers.keep_together(wording.headline(facts)),
        summary=numbers.keep_together(wording.summary(facts)),
        upper_guarantee=Verification.Guarantee.EMPIRICAL.value,
        realisation=explanations.realisation(facts),
        explanations=explanations.explanations(facts),
        chart=json.dumps({"points": history.chart(points), "unit": facts.unit.value}),
        table=[_row(point, facts.unit) for point in shown],
        table_caption=_caption(len(shown), len(points)),
        certificate=certificates.part(verification, facts, artifacts, address),
        example=examples.part(verification.example, facts, artifacts, address),
        pairs=figures.pairs(artifacts, facts.frames, address, facts.changes_flow),
        downloads=figures.downloads(artifacts, address),
        reproducibility=_reproducibility(verification, facts),
        command=verify_command(verification),
    )


def facts_of(verification: Verification) -> Facts:
    """What the wording depends on, read from the models."""
    classifier = verification.classifier
    return Facts(
        status=verification.status,
        frames=verification.frames,
        height=classifier.height,
        width=classifier.width,
        sampling=verification.sampling,
        norm=verification.norm,
        space=verification.space,
        extractor=verification.extractor,
        seconds=verification.seconds,
        elapsed=verification.elapsed,
        flows=None if verification.flows is None else tuple(verification.flows),
        radius=verification.radius,
        label=verification.label_name,
        confidence=verification.confidence,
        mirrored=verification.mirrored,
        given_label=verification.given_label_name,
        given_confidence=verification.given_confidence,
        pair_agrees=verification.pair_agrees,
        lower=verification.lower,
        lower_guarantee=verification.lower_guarantee,
        lower_grey_levels=verification.lower_grey_levels,
        upper=verification.upper,
        upper_label=verification.upper_label_name,
        upper_confidence=verification.upper_confidence,
        eight_bit=verification.eight_bit,
        certificate_radius=verification.certificate_radius,
        certifying=verification.certifying,
        realisation_rms=verification.realisation_rms,
        realisation_median=verification.realisation_median,
        error=verification.error,
    )


def _row(point: Point, unit: Unit) -> TableRow:
    known = point.upper is not None and point.lower > 0
    return TableRow(
        time=numbers.duration(point.seconds),
        lower=unit.proven_number(point.lower),
        upper="–" if point.upper is None else unit.found_number(point.upper),
        ratio=rounded.upper_bound(point.upper / point.lower) if known and point.upper is not None else "–",
    )


def _sampled(verification: Verification) -> str:
    last = verification.video.frames if verification.last is None else verification.last
    part = "" if verification.part == Part() else f" from frames {verification.first} to {last} of the video"
    mirrored = ", mirrored left to right" if verification.mirrored else ""
    return f"sampling {verification.sampling}{part}{mirrored}"


def _caption(shown: int, recorded: int) -> str:
    selection = f"{shown} of {recorded} recorded points." if shown < recorded else "All recorded points."
    return f"{selection} Lower bounds are rounded down, upper bounds up."


def _space(verification: Verification, facts: Facts) -> NamedFact:
    norm = terms.NORM_NAMES[verification.norm]
    if facts.distortion is None:
        return NamedFact("Space and norm", f"{verification.space}, {norm}")
    return NamedFact("Distortion", f"{verification.space}, {norm}" if facts.norm_counts else verification.space)


def _counted(verification: Verification) -> str:
    return "only if they survive rounding to 8 bits" if verification.eight_bit else "all, also in exact values only"


def _reproducibility(verification: Verification, facts: Facts) -> list[NamedFact]:
    video, classifier = verification.video, verification.classifier
    flows = "all" if verification.flows is None else ", ".join(map(str, verification.flows))
    radius = "no limit" if verification.radius is None else facts.unit.plain(verification.radius)
    size = f"{verification.frames} frames of {classifier.height} × {classifier.width}"
    versions = ", ".join(f"{name} {version}" for name, version in sorted(verification.versions.items()))
    found = [
        NamedFact("Video", video.name),
        NamedFact("SHA-256 of the video", video.sha256, code=True),
        NamedFact("Classifier", f"{classifier.name} ({classifier.architecture})"),
        NamedFact("SHA-256 of the classifier", classifier.sha256, code=True),
        NamedFact("Clip", f"{size}, {_sampled(verification)}, channels {classifier.channels}"),
        *(
            [NamedFact("Flow", f"{verification.extractor}, flows that may change: {flows}")]
            if facts.changes_flow
            else []
        ),
        _space(verification, facts),
        NamedFact("Radius", radius),
        NamedFact("Examples that count", _counted(verification)),
        NamedFact("Proof", "Cells" if facts.distortion else verification.get_lower_method_display()),
        NamedFact(
            "Search", "Along rays from the clip" if facts.distortion else verification.get_upper_method_display()
        ),
        NamedFact("Budget", numbers.duration(verification.seconds)),
        NamedFact("Seed", str(verification.seed)),
        NamedFact("Device", verification.device),
        NamedFact("Versions", versions or "recorded when the verification starts"),
    ]
    if verification.finished_at is not None:
        finished = timezone.localtime(verification.finished_at)
        found.append(NamedFact("Finished", f"{finished:%d %B %Y, %H:%M} UTC"))
    return found
