"""What pages say of the adversarial example: how large it is, how much of it can be seen, and whether it survives 8 bits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from verification.engine import rounded
from verification.live.payloads import Example, Likeness
from verification.models import Artifact
from verification.reports import numbers, terms
from verification.reports.facts import Facts
from verification.reports.figures import AddressOf
from verification.services.distortions import free_names

#: How to read the figures, on the live page and in the report.
ABOUT = (
    "PSNR says how large the change of the frames’ values is: at 40 dB they differ by 1 % of their range (2.55 of 255 grey "
    "levels) in root mean square, and every 20 dB more means a tenth of that. SSIM says how much of the frames’ structure is "
    "left: 1 is all of it. Both compare the frames that are changed with the original ones, and are rounded down."
)
SURVIVES = "The class stays changed when the frames are rounded to 8 bits, as files and screens have them."
PERISHES = (
    "When the frames are rounded to 8 bits, as files and screens have them, the class is the original one again: this example "
    "exists in exact values only."
)


@dataclass(frozen=True)
class Line:
    """One figure with its name."""

    name: str
    value: str


@dataclass(frozen=True)
class ExamplePart:
    """What is said of the example. `film` and `still`: the addresses of the comparison, empty where there is none."""

    film: str
    still: str
    lines: list[Line]
    about: str = ABOUT


def explained() -> dict[str, str]:
    """What the live page says of any example."""
    return {"about": ABOUT, "survives": SURVIVES, "perishes": PERISHES}


def part(
    example: Example | None, facts: Facts, artifacts: Iterable[Artifact], address: AddressOf
) -> ExamplePart | None:
    """None while no example is recorded with its figures."""
    if example is None:
        return None
    found = {artifact.kind: address(artifact) for artifact in artifacts}
    film, still = (found.get(kind, "") for kind in (Artifact.Kind.COMPARISON, Artifact.Kind.COMPARISON_STILL))
    lines = [Line(name, numbers.keep_together(value)) for name, value in _lines(example, facts)]
    return ExamplePart(film, still, lines)


def _lines(example: Example, facts: Facts) -> list[tuple[str, str]]:
    thing = "flow" if facts.changes_flow else "frame"
    shares = [
        f"{number}: {share:.0%}".replace(": ", ":\u00a0").replace("%", "\u00a0%")
        for number, share in enumerate(example["shares"], 1)
    ]
    return [
        *_parameters(example.get("parameters"), facts),
        _sizes(example["distances"], facts),
        *_grey_levels(example.get("grey_levels")),
        *([(f"Share of each {thing}", ", ".join(shares))] if shares else []),
        *_likeness(example["quality"], facts.frames),
        ("In 8 bits", SURVIVES if example["survives_rounding"] else PERISHES),
    ]


def _sizes(distances: Mapping[str, float], facts: Facts) -> tuple[str, str]:
    if not facts.norm_counts:
        return "Size", facts.unit.found(max(distances.values()))
    sizes = [f"{terms.NORM_NAMES[norm]} {facts.unit.found(size)}" for norm, size in distances.items()]
    return "Size in each norm", ", ".join(sizes)


def _parameters(parameters: Mapping[str, float] | None, facts: Facts) -> list[tuple[str, str]]:
    """With their signs: which way the clip is distorted. Those that do not count have no unit."""
    if not parameters:
        return []
    distortion = facts.distortion
    free = set(free_names(distortion)) if distortion else set()
    texts = [
        f"{name} {numbers.signed(value, rounded.plain if name in free else facts.unit.plain)}"
        for name, value in parameters.items()
    ]
    return [("Parameters" if len(texts) > 1 else "Parameter", ", ".join(texts))]


def _grey_levels(grey_levels: Mapping[str, float] | None) -> list[tuple[str, str]]:
    """How far the clips are apart, in the unit of the paper."""
    if not grey_levels:
        return []
    sizes = [f"{terms.NORM_NAMES[norm]} {rounded.upper_bound(size)}" for norm, size in grey_levels.items()]
    return [("Difference of the clips", f"{', '.join(sizes)} grey levels")]


def _likeness(quality: Likeness, frames: int) -> list[tuple[str, str]]:
    if quality["psnr"] is None or quality["psnr_worst"] is None:
        return [("PSNR", "identical")]
    number = rounded.lower_bound
    return [
        ("Frames changed", f"{quality['changed']} of {frames}"),
        ("PSNR", f"{number(quality['psnr'])} dB on average, {number(quality['psnr_worst'])} dB in the worst frame"),
        ("SSIM", f"{number(quality['ssim'])} on average, {number(quality['ssim_worst'])} in the worst frame"),
    ]
