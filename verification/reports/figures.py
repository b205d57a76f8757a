"""The pictures of a report: for every pair of frames the original, the perturbed and the difference."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from verification.models import Artifact

#: Rows of one pair: what is shown, and the artifact kinds of original, perturbed and difference.
ROWS = (
    ("Frame", ("frame", "perturbed-frame", "frame-difference")),
    ("Magnitude", ("flow-magnitude", "perturbed-magnitude", "difference-magnitude")),
    ("Direction", ("flow-direction", "perturbed-direction", "difference-direction")),
    ("Arrows", ("flow-arrows", "perturbed-arrows", "difference-arrows")),
)
COLUMNS = ("Original", "Perturbed", "Difference")
#: Kinds of files to keep: a title, and what it is for.
DOWNLOADS = {
    "comparison": ("Film, WebM", "Original, perturbed and difference side by side. Compressed: to look at."),
    "lossless-clip": (
        "Perturbed clip in 8 bits, without loss",
        "The frames, rounded to 8 bits and not changed otherwise: to show to a classifier, or to upload here as a video.",
    ),
    "adversarial-clip": (
        "Perturbed clip, exact, NumPy",
        "The frames before rounding, float32 from 0 to 1: what the upper bound is about.",
    ),
    "adversarial-flows": ("Flows and their change, NumPy", "The original flows and what is added to them, in pixels."),
    "original-flo": (
        "Original flows, Middlebury",
        "A zip with one .flo for each pair of frames, as programs for flow read.",
    ),
    "perturbed-flo": ("Perturbed flows, Middlebury", "The same of the perturbed flows."),
    "result": ("Result, JSON", "All that was asked and found, with every bound."),
}

AddressOf = Callable[[Artifact], str]


def addresses(share: str | None = None) -> AddressOf:
    """Where the bytes of an artifact are; `share` is the token by which they open for readers without an account."""

    def address(artifact: Artifact) -> str:
        url = reverse("api:artifact-content", kwargs={"pk": artifact.pk})
        return url if share is None else f"{url}?{urlencode({'share': share})}"

    return address


@dataclass(frozen=True)
class Picture:
    """One picture of the grid; `alt` says what it shows to those who do not see it."""

    url: str
    alt: str


@dataclass(frozen=True)
class Row:
    """Original, perturbed, difference; None where there is no such picture (yet)."""

    title: str
    pictures: tuple[Picture | None, ...]


@dataclass(frozen=True)
class Pair:
    """Frame `flow` and the flow from it to the next frame, if flows are shown; the last frame has none."""

    flow: int
    title: str
    note: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Download:
    """A file that belongs to the report, and what it is for."""

    title: str
    purpose: str
    url: str
    bytes: int


def pairs(artifacts: Iterable[Artifact], frames: int, address: AddressOf, flows: bool = True) -> list[Pair]:
    """One entry for each of the `frames` frames that has at least one picture; named after its flow if there are `flows`."""
    found = {(artifact.kind, artifact.flow): artifact for artifact in artifacts}

    def row(title: str, kinds: tuple[str | None, ...], flow: int) -> Row:
        shown = [found.get((kind, flow)) if kind else None for kind in kinds]
        return Row(
            title,
            tuple(
                None if artifact is None else Picture(address(artifact), f"{column} {title.lower()} {flow}")
                for artifact, column in zip(shown, COLUMNS, strict=True)
            ),
        )

    result = []
    for flow in range(1, frames + 1):
        rows = [row(title, kinds, flow) for title, kinds in ROWS]
        shown = tuple(row for row in rows if any(row.pictures))
        if shown:
            result.append(Pair(flow, *_title(flow, frames, flows), shown))
    return result


def _title(flow: int, frames: int, flows: bool) -> tuple[str, str]:
    """The title of an entry and a note on it."""
    if not flows:
        return f"Frame {flow}", ""
    if flow == frames:
        return f"Frame {flow}", "the last frame"
    return f"Flow {flow}", f"between frames {flow} and {flow + 1}"


def downloads(artifacts: Iterable[Artifact], address: AddressOf) -> list[Download]:
    """The files that others can compute with, and the film."""
    found = {artifact.kind: artifact for artifact in artifacts}
    return [
        Download(title, purpose, address(found[kind]), found[kind].bytes)
        for kind, (title, purpose) in DOWNLOADS.items()
        if kind in found
    ]


def offered() -> list[dict[str, str]]:
    """What the live page says of the files that it may offer."""
    return [{"kind": kind, "title": title, "purpose": purpose} for kind, (title, purpose) in DOWNLOADS.items()]
