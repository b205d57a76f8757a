"""What the game proves, how fast, and how its gap falls: the figures behind docs/bounds.md, "Cells".

    python -m benchmarks.game spaces [--seconds 60] [--long 600] [--clips 5]
    python -m benchmarks.game methods [--seconds 60]
    python -m benchmarks.game flows [--rounds 60] [--counts 1 3 5] [--model FILE.onnx --videos DIR]

`spaces`: UB/LB of spaces with two, four and eight dimensions on test clips of the demo, and how it falls over time. `methods`:
the same question by every way to the lower bound. `flows`: the lower bound after a fixed number of iterations against the number
of flows that may change (the paper's Figure 10). Every verification is a process of its own. Compare only what ran side by side.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.bounds import DEMO, ROOT, UCF_CLIPS, UCF_LABELS, UCF_OPTIONS
from verification.demo.clip import write_test_videos
from verification.engine import LowerMethod

_TIMES = (5, 10, 20, 30, 60, 120, 300, 600)
_SPACES = (("translation", "4"), ("translation", "2,5"), ("blocks:2x2", "4"))

Rows = list[tuple[str, ...]]


def main() -> None:
    """Run one part and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("spaces", "methods", "flows"))
    parser.add_argument("--seconds", type=float, default=60.0, help="budget in two dimensions, and of `methods`")
    parser.add_argument("--long", type=float, default=600.0, help="budget in more dimensions")
    parser.add_argument("--clips", type=int, default=5, help="test clips of the demo in two dimensions")
    parser.add_argument("--rounds", type=int, default=60, help="slices of work for `flows`")
    parser.add_argument(
        "--counts", type=int, nargs="+", default=range(1, 8), help="of flows that may change, for `flows`"
    )
    parser.add_argument("--model", type=Path, help="for `flows`: an ONNX file of the LRCN beside the demo")
    parser.add_argument("--videos", type=Path, help="and the folder of its UCF101 clips")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flowverify-benchmark-") as scratch:
        videos = [path for path, _ in write_test_videos(Path(scratch), max(options.clips, 2))][: max(options.clips, 2)]
        rows = {"spaces": measure_spaces, "methods": measure_methods, "flows": measure_flows}[options.part](
            options, videos, Path(scratch) / "result.json"
        )
    print(
        f"\n{platform.platform()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip(), flush=True)


def measure_spaces(options: argparse.Namespace, videos: Sequence[Path], out: Path) -> Rows:
    """Two dimensions on several clips, four and eight on one."""
    rows: Rows = [("clip", "space", "flows", "lower", "upper", "UB/LB", "s", "cells/s", "UB/LB after (s)")]
    for space, flows in _SPACES:
        short = space == "translation" and "," not in flows
        ratios = []
        for video in videos if short else videos[1:2]:
            seconds = options.seconds if short else options.long
            result = verify(video, DEMO, out, "--space", space, "--flows", flows, "--seconds", str(seconds))
            rows.append((video.stem, space, flows, *_bounds(result), _pace(result), _fall(result)))
            ratios += [result["upper"] / result["lower"]] if result["upper"] and result["lower"] else []
        if short and ratios:
            rows.append(("median", space, flows, "", "", f"{statistics.median(ratios):.3f}", "", "", ""))
    return rows


def measure_methods(options: argparse.Namespace, videos: Sequence[Path], out: Path) -> Rows:
    """One clip, one budget, every way to the lower bound."""
    rows: Rows = [("space", "flows", "by", "lower", "upper", "UB/LB", "s")]
    for space, flows in _SPACES:
        for method in LowerMethod:
            asked: tuple[str, ...] = (
                "--space",
                space,
                "--flows",
                flows,
                "--lower",
                method.value,
                "--seconds",
                str(options.seconds),
            )
            rows.append((space, flows, method.value, *_bounds(verify(videos[1], DEMO, out, *asked))))
    return rows


def measure_flows(options: argparse.Namespace, videos: Sequence[Path], out: Path) -> Rows:
    """The flows 1, 1 to 2, 1 to 3 and so on may be shifted as a whole each."""
    rows: Rows = [("clip", "flows", "lower", "upper", "UB/LB", "s")]
    questions: list[tuple[Path, Path, tuple[str, ...]]] = [(videos[1], DEMO, ())]
    if options.model and options.videos:
        labels = out.parent / "labels.txt"
        labels.write_text("\n".join(UCF_LABELS))
        said = ("--labels", str(labels), *UCF_OPTIONS)
        questions += [(options.videos / f"{name}.avi", options.model, said) for name in UCF_CLIPS[:2]]
    for video, classifier, described in questions:
        for count in options.counts:
            flows = ",".join(map(str, range(1, count + 1)))
            question = (
                "--space",
                "translation",
                "--flows",
                flows,
                "--rounds",
                str(options.rounds),
                "--seconds",
                "3600",
            )
            rows.append((video.stem, str(count), *_bounds(verify(video, classifier, out, *described, *question))))
    return rows


def verify(video: Path, classifier: Path, out: Path, *asked: str) -> dict[str, Any]:
    """`manage.py verify` in a process of its own: its result file."""
    print(video.stem, *asked, file=sys.stderr, flush=True)
    command = [sys.executable, str(ROOT / "manage.py"), "verify", str(video), "--classifier", str(classifier), *asked]
    subprocess.run([*command, "--json", str(out)], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return json.loads(out.read_text())


def _bounds(result: dict[str, Any]) -> tuple[str, ...]:
    lower, upper = result["lower"], result["upper"]
    ratio = f"{upper / lower:.3f}" if lower and upper else "-"
    return (f"{lower:.4g}", f"{upper:.4g}" if upper else "-", ratio, f"{result['seconds']:.1f}")


def _pace(result: dict[str, Any]) -> str:
    return f"{result['game']['bounded'] / result['seconds']:.0f}" if result["game"] else "-"


def _fall(result: dict[str, Any]) -> str:
    """The gap at fixed times, with the upper bound of that time."""
    found = []
    for seconds in _TIMES:
        known = [point for point in result["history"] if point["seconds"] <= seconds]
        if known and known[-1]["lower"] and known[-1]["upper"] and seconds <= result["seconds"] + 1:
            found.append(f"{seconds}: {known[-1]['upper'] / known[-1]['lower']:.3g}")
    return ", ".join(found)


if __name__ == "__main__":
    main()
