"""How tight, how fast and how large the lower bounds are: the figures behind docs/bounds.md.

    python -m benchmarks.bounds demo [--seconds 60] [--clips 10] [--norms l2 linf] [--classifier FILE]
    python -m benchmarks.bounds lrcn --model FILE.onnx --videos DIR [--seconds 600] [--norms l2 linf]
    python -m benchmarks.bounds ratio
    python -m benchmarks.bounds growth

`demo`: UB/LB on test clips of the demo. `lrcn`: the same for an LRCN trained on UCF101, an ONNX file. `ratio`: one bound
evaluation against a forward pass. `growth`: how both grow with frames, size and LSTM width.
Every verification is a process of its own, so that its peak memory is its own. Compare only what ran side by side.
"""

import argparse
import json
import math
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from verification.demo.clip import write_test_videos
from verification.engine import read_clip
from verification.engine.bounds.ball import ball_around
from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.problem import Problem
from verification.engine.clip import Clip
from verification.engine.network import ARCHITECTURES, InputSpecification, load_classifier
from verification.engine.network.classifier import Classifier
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Rounding
from verification.engine.specification import Specification

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "verification" / "demo" / "camera_motion.safetensors"
_COMPARED = ("network", "radius (px)", "forward (s)", "bounds (s)", "ratio", "peak memory (MB)")
UCF_LABELS = ("Biking", "Diving", "GolfSwing", "Punch", "Rowing")
UCF_OPTIONS = ("--channels", "bgr", "--sampling", "floor")
UCF_CLIPS = ("v_Diving_g02_c02", "v_Biking_g01_c04", "v_Punch_g22_c07", "v_Rowing_g14_c04")

Rows = list[tuple[str, ...]]


def main() -> None:
    """Run one part and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("demo", "lrcn", "ratio", "growth"))
    parser.add_argument("--seconds", type=float, default=60.0, help="budget of each verification")
    parser.add_argument("--clips", type=int, default=10, help="test clips of the demo")
    parser.add_argument(
        "--classifier", type=Path, default=DEMO, help="another one than the demo's, for the part 'demo'"
    )
    parser.add_argument("--norms", nargs="+", default=["l2", "linf"], choices=[str(n.value) for n in Norm])
    parser.add_argument("--model", type=Path, help="an ONNX file of the LRCN")
    parser.add_argument("--videos", type=Path, help="the folder of its UCF101 clips")
    options = parser.parse_args()
    parts = {"demo": measure_demo, "lrcn": measure_lrcn, "ratio": measure_ratio, "growth": measure_growth}
    with tempfile.TemporaryDirectory(prefix="flowverify-benchmark-") as scratch:
        rows = parts[options.part](options, Path(scratch))
    print(
        f"\n{platform.platform()}, Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}, "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
    )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def measure_demo(options: argparse.Namespace, scratch: Path) -> Rows:
    """Every test clip in every norm, and the medians."""
    videos = [path for path, _ in list(write_test_videos(scratch, options.clips))[: options.clips]]
    return _verified(options, scratch, options.classifier, videos)


def measure_lrcn(options: argparse.Namespace, scratch: Path) -> Rows:
    """The UCF101 clips in every norm."""
    if options.model is None or options.videos is None:
        sys.exit("the part 'lrcn' needs --model FILE.onnx and --videos DIR")
    labels = scratch / "labels.txt"
    labels.write_text("\n".join(UCF_LABELS))
    described = ["--labels", str(labels), *UCF_OPTIONS]
    return _verified(options, scratch, options.model, [options.videos / f"{name}.avi" for name in UCF_CLIPS], described)


def _verified(
    options: argparse.Namespace, scratch: Path, classifier: Path, videos: Sequence[Path], described: Sequence[str] = ()
) -> Rows:
    rows: Rows = [("clip", "norm", "first proof (s)", "lower", "upper", "UB/LB", "peak memory (MB)")]
    for norm in options.norms:
        results = []
        for video in videos:
            print(f"{video.stem}, {norm}, {options.seconds:g} s ...", file=sys.stderr, flush=True)
            out = scratch / f"{video.stem}-{norm}.json"
            result, memory = verify(classifier, video, norm, options.seconds, out, described)
            lower, upper = result["lower"], result["upper"]
            ratio = upper / lower if lower and upper else None
            first = next((point["seconds"] for point in result["history"] if point["lower"]), None)
            results.append((first, lower, upper, ratio, memory))
            rows.append((video.stem, norm, *map(_number, results[-1])))
        medians = [_median(column) for column in zip(*results, strict=True)]
        rows.append(("median", norm, *map(_number, medians)))
    return rows


def verify(
    classifier: Path, video: Path, norm: str, seconds: float, out: Path, described: Sequence[str]
) -> tuple[dict[str, Any], float]:
    """`manage.py verify` in a process of its own: its result file, and its peak memory in MB.

    `described`: options that say of the classifier what its file does not.
    """
    command = [
        sys.executable,
        str(ROOT / "manage.py"),
        "verify",
        str(video),
        "--classifier",
        str(classifier),
        *described,
    ]
    command += ["--norm", norm, "--space", "dense", "--seconds", str(seconds), "--json", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if not out.exists():
        sys.exit(f"verifying {video.name} failed")
    return json.loads(out.read_text()), usage.ru_maxrss / 1024


def measure_ratio(options: argparse.Namespace, scratch: Path) -> Rows:
    """Forward pass and float64 bound evaluation of whole networks at small radii."""
    cases = [Case("demo", 1.0), Case("lrcn, random weights", 1e-3, "lrcn", frames=20, size=128)]
    # Linear bounds of all its values would take hours: intervals, and the margins pulled back through them.
    whole = "vgg16_lstm, random weights, margins only"
    return _rows([*cases, Case(whole, 1e-6, "vgg16_lstm", frames=16, size=224, effort=0, room=4e9)])


def measure_growth(options: argparse.Namespace, scratch: Path) -> Rows:
    """One axis at a time from 8 frames of 64x64 pixels and 32 units."""
    cases = []
    base: dict[str, Any] = {"frames": 8, "size": 64, "hidden": 32}
    axes = {"frames": (4, 8, 16, 32), "size": (32, 64, 128, 224), "hidden": (32, 128, 512)}
    for axis, values in axes.items():
        for value in values:
            setting = base | {axis: value}
            cases.append(Case(f"cnn_lstm, {axis} {value}", 0.1, "cnn_lstm", **setting))
    return _rows(cases)


@dataclass(frozen=True)
class Case:
    """A network, the demo's or one of an architecture with random weights, and the L2 ball for which it is bounded."""

    name: str
    radius: float
    architecture: str | None = None
    frames: int = 0
    size: int = 0
    hidden: int | None = None
    effort: int | None = None
    room: float = math.inf
    lively: bool = False  #: He's initialisation, with which a change of a pixel does not fade in a deep network

    def problem(self) -> Problem:
        if self.architecture is None:
            demo = load_classifier(DEMO)
            with tempfile.TemporaryDirectory() as scratch:
                return _problem(demo, _first_test_clip(demo, Path(scratch)), Norm.L2)
        config: dict[str, object] = {} if self.hidden is None else {"hidden": self.hidden}
        return _random(self.architecture, config, self.frames, self.size, self.lively)


def _rows(cases: Sequence[Case]) -> Rows:
    """Each case in a process of its own, so that its peak memory is its own."""
    rows: Rows = [_COMPARED]
    for case in cases:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            rows.append(process.apply(_compared, (case,)))
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    return rows


def _compared(case: Case) -> tuple[str, ...]:
    """Medians of three forward passes in float32 and one bound evaluation in float64."""
    problem, radius = case.problem(), case.radius
    forward = _seconds(lambda: problem.logits_of(problem.frames), repeats=3)
    region = ball_around(problem.frames, problem.space, problem.norm, radius, Rounding(rigorous=True))

    def bound() -> None:
        LinearBounds(problem.graph, region, effort=case.effort, room=case.room).margins(problem.label)

    took = _seconds(bound, repeats=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        case.name,
        f"{radius:g}",
        f"{forward:.3g}",
        f"{took:.3g}",
        f"{took / forward:.0f}",
        f"{peak:.0f}",
    )


def _seconds(work: Callable[[], Any], repeats: int) -> float:
    times = []
    with torch.no_grad():
        for _ in range(repeats):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def _random(architecture: str, config: dict[str, object], frames: int, size: int, lively: bool) -> Problem:
    torch.manual_seed(0)
    network = ARCHITECTURES[architecture].build(config, frames=frames, height=size, width=size, classes=5)
    for module in network.modules() if lively else ():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    wanted = InputSpecification(frames, size, size)
    labels = tuple("abcde")
    classifier = Classifier(architecture, "0" * 64, architecture, labels, wanted, network.eval().requires_grad_(False))
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand((frames, 3, size // 4, size // 4), generator=generator)
    smooth = torch.nn.functional.interpolate(rough, scale_factor=4, mode="bilinear")
    return _problem(classifier, Clip(smooth.contiguous(), "noise", "0" * 64), Norm.L2)


def _first_test_clip(classifier: Classifier, scratch: Path) -> Clip:
    video, _ = next(iter(write_test_videos(scratch, 1)))
    wanted = classifier.input
    return read_clip(video, frames=wanted.frames, size=(wanted.height, wanted.width), sampling=wanted.sampling)


def _problem(classifier: Classifier, clip: Clip, norm: Norm) -> Problem:
    return Problem.build(Specification(clip, classifier, norm, "dense"))


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    main()
