"""The paper's gradient by finite differences (Eqs. 8 to 10) against the exact one: the figures behind docs/bounds.md.

    python -m benchmarks.upper [--parts demo vgg vgg-small] [--pixels 64] [--exact 5] [--threads 1]
    python -m benchmarks.upper --search 60

Both gradients of the same loss, on the same frame of the same clip, in float64 and by one process; seconds are those of its
processor, which a shared machine disturbs less than the clock. `demo`: the demo's classifier and a test clip, every pixel of one
frame. `vgg`: VGG16 + LSTM with random weights, 16 frames of 224x224; there only `--pixels` random pixels are changed, and the
time of the frame is extrapolated from them. `vgg-small`: the same network on 4 frames of 48x48, where enough pixels can be
changed to compare directions. `--search`: instead, what both searches find within so many seconds on that clip of the demo,
one flow, dense, L2. Compare only what ran side by side.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from benchmarks.bounds import Case, Rows
from verification.engine.bounds.problem import Problem
from verification.engine.flow import DEFAULT_EXTRACTOR, build_extractor
from verification.engine.perturbation import build_space
from verification.engine.search import FiniteDifferenceSearch, MinimumNormSearch
from verification.engine.search.pixel_changes import PixelChanges, PixelDifferences

T = TypeVar("T")

_HEADER = (
    "network", "pixels", "a pixel (s)", "of it flow (s)", "a frame (s)", "exact, all frames (s)", "ratio",
    "cosine", "equal signs", "cosine, same functional",
)  # fmt: skip
_CASES = {
    "demo": Case("demo", 0.0),
    "vgg": Case("vgg16_lstm, random weights", 0.0, "vgg16_lstm", frames=16, size=224, lively=True),
    "vgg-small": Case("vgg16_lstm, random weights, small", 0.0, "vgg16_lstm", frames=4, size=48, lively=True),
}


@dataclass(frozen=True)
class Differences:
    """What the changes of `pixels` (row-major) told, and the seconds that they took."""

    pixels: Tensor
    changes: PixelChanges
    seconds: float


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=tuple(_CASES), default=list(_CASES))
    parser.add_argument("--pixels", type=int, default=64, help="how many pixels of the large frame are changed")
    parser.add_argument("--exact", type=int, default=5, help="repetitions of the exact gradient; the median counts")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--search", type=float, metavar="S", help="seconds of both searches for an upper bound instead")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = searched(options.search) if options.search else gradients(options)
    print(
        f"\n{platform.platform()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
    )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def gradients(options: argparse.Namespace) -> Rows:
    """Both gradients of the networks that are asked for."""
    rows: Rows = [_HEADER]
    for part in options.parts:
        rows.append(compared(_CASES[part], None if part == "demo" else options.pixels, options.exact))
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    return rows


def searched(seconds: float) -> Rows:
    """The upper bound by each search, and when it was found."""
    whole = _CASES["demo"].problem()
    length, _, height, width = whole.frames.shape
    problem = replace(whole, space=build_space("dense", length, height, width, (length // 2,)))
    rows: Rows = [("search", "upper (px), after (s): first and last")]
    for search in (FiniteDifferenceSearch(problem, build_extractor(DEFAULT_EXTRACTOR)), MinimumNormSearch(problem)):
        began, points = time.process_time(), []
        while (now := time.process_time() - began) < seconds:
            candidate = search.step(lambda: None, 1)
            if candidate is not None:
                points.append(f"{candidate.norm:.4g}, {now:.0f}")
        rows.append((type(search).__name__, "; ".join(dict.fromkeys(points[:1] + points[-1:])) or "none"))
    return rows


def compared(case: Case, sample: int | None, repeats: int) -> tuple[str, ...]:
    """One network: the gradient of the middle flow by both ways. `sample`: how many pixels are changed, None for all."""
    problem = case.problem()
    differences = PixelDifferences(problem, build_extractor(DEFAULT_EXTRACTOR))
    clip = problem.frames.double()
    length, height, width = len(clip), *clip.shape[2:]
    frame = length // 2  # moved by the flow before it
    (exact, values), took = _timed(lambda: exactly(problem, differences), repeats)
    print(f"{case.name}: exact gradient {took:.3g} s", file=sys.stderr, flush=True)
    whole = torch.randperm(height * width, generator=torch.Generator().manual_seed(0))
    pixels = whole.sort().values if sample is None else whole[:sample]
    found = by_differences(differences, clip, frame, pixels)
    flow = extraction_seconds(differences, clip[frame])
    each = found.seconds / len(pixels)
    single = each * height * width
    paper = found.changes.gradient
    ours = exact[frame - 1].flatten(1)[:, pixels]
    both = torch.stack([paper, paper])
    pulled = values[frame].sum(0).flatten()[pixels]
    functional = torch.where(found.changes.flow > 0, pulled / found.changes.flow, 0.0)
    return (
        case.name,
        f"{len(pixels)} of {height * width}",
        f"{each:.3g}",
        f"{flow:.3g}",
        f"{single:.4g}" + (" (extrapolated)" if sample else ""),
        f"{took:.3g}",
        f"{single / took:.0f}",
        f"{cosine(both, ours):.3f}",
        f"{float((both.sign() == ours.sign()).double().mean()):.3f}",
        f"{cosine(paper, functional):.4f}",
    )


def by_differences(differences: PixelDifferences, clip: Tensor, frame: int, pixels: Tensor) -> Differences:
    """Eqs. 8 to 10 at `pixels` of one frame."""
    with torch.no_grad():
        loss = differences.loss(clip)
    began = time.process_time()
    parts: list[PixelChanges] = []
    for batch in pixels.split(differences.batch):
        parts.append(differences.measure(clip, loss, frame, batch))
        spent = time.process_time() - began
        print(
            f"{sum(len(part.loss) for part in parts)} of {len(pixels)} pixels, {spent:.3g} s",
            file=sys.stderr,
            flush=True,
        )
    changes = PixelChanges(*(torch.cat([getattr(p, name) for p in parts]) for name in ("loss", "frame", "flow")))
    return Differences(pixels, changes, time.process_time() - began)


def exactly(problem: Problem, differences: PixelDifferences) -> tuple[Tensor, Tensor]:
    """The exact gradient of the loss at the clip: by every component of every flow, (l-1, 2, h, w); and what it is on the way,
    by the values of the pixels, (l, 3, h, w)."""
    delta = torch.zeros(problem.space.delta_shape, dtype=torch.float64, requires_grad=True)
    clip = problem.space.perturbed(problem.frames.double(), delta)
    by_flow, by_values = torch.autograd.grad(differences.loss(clip), (delta, clip))
    return by_flow, by_values


def extraction_seconds(differences: PixelDifferences, frame: Tensor, repeats: int = 5) -> float:
    """What one extraction of the subtle flow takes."""
    return _timed(lambda: differences.extractor.extract(torch.stack([frame, frame])), repeats)[1]


def cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.cosine_similarity(one.flatten(), other.flatten(), dim=0))


def _timed(work: Callable[[], T], repeats: int) -> tuple[T, float]:
    times = []
    for _ in range(repeats):
        began = time.process_time()
        result = work()
        times.append(time.process_time() - began)
    return result, statistics.median(times)


if __name__ == "__main__":
    main()
