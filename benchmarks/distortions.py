"""How fast the bounds of natural distortions meet: the figures behind docs/distortions.md.

    python -m benchmarks.distortions [--seconds 30] [--clips 1] [--distortions brightness gamma]
    python -m benchmarks.distortions --model FILE.onnx --videos DIR [--seconds 120] [--clips 1]

Both bounds of every family with one parameter, on test clips of the demo or, with an ONNX file of the LRCN, on UCF101 clips;
then the certificate's radius as a share of the lower bound, and what it takes to check it. Every verification is a process of
its own. Compare only what ran side by side.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.bounds import DEMO, ROOT, UCF_CLIPS, UCF_LABELS, UCF_OPTIONS, Rows
from benchmarks.game import verify
from verification.demo.clip import write_test_videos
from verification.engine.certificate import Certificate
from verification.engine.perturbation import DISTORTIONS, unit_of

_HEADER = ("clip", "distortion", "lower", "upper", "UB/LB", "s", "ended", "certificate", "check (s)")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="budget of each verification")
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--distortions", nargs="+", default=list(DISTORTIONS), help="as they are written for verify")
    parser.add_argument("--model", type=Path, help="an ONNX file of the LRCN")
    parser.add_argument("--videos", type=Path, help="the folder of its UCF101 clips")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flowverify-benchmark-") as scratch:
        rows = measured(options, Path(scratch))
    print(
        f"\n{platform.platform()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def measured(options: argparse.Namespace, scratch: Path) -> Rows:
    """A row for each clip and distortion."""
    described: tuple[str, ...] = ()
    if options.model and options.videos:
        labels = scratch / "labels.txt"
        labels.write_text("\n".join(UCF_LABELS))
        videos = [options.videos / f"{name}.avi" for name in UCF_CLIPS[: options.clips]]
        classifier, described = options.model, ("--labels", str(labels), *UCF_OPTIONS)
    else:
        # The first test clip stands still: nothing of it would change with the speed of what moves.
        videos = [path for path, _ in write_test_videos(scratch, options.clips + 1)][1 : options.clips + 1]
        classifier = DEMO
    rows: Rows = [_HEADER]
    for video in videos:
        for distortion in options.distortions:
            rows.append(row_of(video, classifier, described, distortion, options.seconds, scratch))
            print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    return rows


def row_of(
    video: Path, classifier: Path, described: Sequence[str], distortion: str, seconds: float, scratch: Path
) -> tuple[str, ...]:
    """One verification with its certificate, and the check of that."""
    written = scratch / "certificate.json"
    written.unlink(missing_ok=True)
    asked = (*described, "--space", distortion, "--seconds", str(seconds), "--certificate", str(written))
    result = verify(video, classifier, scratch / "result.json", *asked)
    unit, lower, upper = unit_of(distortion), result["lower"], result["upper"]
    share, took = "-", "-"
    if written.exists():
        share = f"{Certificate.load(written).radius / lower:.1%}"
        command = [sys.executable, str(ROOT / "manage.py"), "check_certificate", str(written), "--video", str(video)]
        began = time.perf_counter()
        subprocess.run(
            [*command, "--classifier", str(classifier), *described], check=True, stdout=subprocess.DEVNULL, cwd=ROOT
        )
        took = f"{time.perf_counter() - began:.1f}"
    return (
        video.stem,
        distortion,
        unit.proven(lower),
        unit.found(upper) if upper else "-",
        f"{upper / lower:.3f}" if lower and upper else "-",
        f"{result['seconds']:.1f}",
        result["status"],
        share,
        took,
    )


if __name__ == "__main__":
    main()
