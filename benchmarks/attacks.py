"""The search for the nearest adversarial example against the minimum-norm attacks of foolbox.

    pip install --no-deps --target DIR -r requirements-benchmarks.txt
    PYTHONPATH=DIR python -m benchmarks.attacks demo [--seconds 60] [--clips 4] [--norms l2 linf] [--attacks ddn fmn bb cw]
    PYTHONPATH=DIR python -m benchmarks.attacks lrcn --model FILE.onnx --videos DIR [--seconds 60] [--norms l2 linf]

Everybody gets the same clip, the same imposition and the same seconds, one after the other; they are those of the processor,
which a shared machine disturbs less than the clock. An attack sees a model
whose input is the perturbation of the flow itself in the space `dense`, in pixels, from zero and within [-4, 4] (`--bound`): its
logits are those of the perturbed clip. All its settings are foolbox's own but for the two that depend on the unit of the input,
the size of a step and the number of steps: an attack begins with few steps and its first step size, then tries the other sizes,
and begins again with twice the steps until its seconds are spent. Brendel and Bethge's attack starts at the nearest example that
it has seen, at first at one of FMN; its compilation is not counted. The best example that an attack ever *evaluated* counts,
whether it returned it or not. Theirs and ours are confirmed by the same rule (`search/adversarial.py`), in float64.
Compare only what ran side by side. The columns: the norm that was found, and how many gradients it took. The rows below are over
the clips: `ratio` is ours over the least of the attacks.
"""

import argparse
import itertools
import math
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.bounds import DEMO, UCF_CLIPS, UCF_LABELS
from verification.demo.clip import write_test_videos
from verification.engine import read_clip
from verification.engine.bounds.problem import Problem
from verification.engine.flow import DEFAULT_EXTRACTOR, build_extractor
from verification.engine.network import load_classifier
from verification.engine.network.classifier import Classifier
from verification.engine.perturbation import Norm
from verification.engine.search import MinimumNormSearch
from verification.engine.search.adversarial import confirm
from verification.engine.specification import Specification

_STEPS = 50  # of the first run of an attack; every time all step sizes were tried it is twice as many
_SIZES = {
    "ddn": (0.05, 0.02, 0.1),  # relative change of the norm
    "fmn": (1.0, 0.1, 10.0),  # pixels, in L2
    "bb": (1.0, 0.1, 10.0),  # pixels, in L2: the radius of its first trust region
    "cw": (1e-2, 1e-3, 1e-4),  # of Adam
}
_NORMS = {"ddn": (Norm.L2,), "fmn": (Norm.L2, Norm.LINF), "bb": (Norm.L2, Norm.LINF), "cw": (Norm.L2,)}


class SpentError(Exception):
    """The seconds of an attack are over."""


class Imposed(torch.nn.Module):
    """(1, K...) perturbations -> (1, C) logits of the perturbed clip; remembers the nearest example that it ever saw."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem
        self.best: Tensor | None = None
        self.norm = math.inf
        self.gradients = 0
        self.until = math.inf

    def forward(self, x: Tensor) -> Tensor:
        if time.process_time() > self.until:
            raise SpentError
        self.gradients += x.requires_grad
        logits = self.problem.logits(x[0])
        if int(logits.argmax()) != self.problem.label and (norm := self.problem.norm_of(x[0].detach())) < self.norm:
            self.best, self.norm = x[0].detach().clone(), norm
        return logits[None]


@dataclass(frozen=True)
class Found:
    """The confirmed distance, infinite where there is none, and the gradients that it took."""

    norm: float
    gradients: int


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("demo", "lrcn"))
    parser.add_argument("--seconds", type=float, default=60.0, help="of each attack on each clip")
    parser.add_argument("--clips", type=int, default=4, help="how many clips of the part")
    parser.add_argument("--norms", nargs="+", default=["l2", "linf"], choices=["l2", "linf"])
    parser.add_argument("--attacks", nargs="+", default=list(_NORMS), choices=tuple(_NORMS))
    parser.add_argument("--bound", type=float, default=4.0, help="pixels within which a component of a flow may change")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--model", type=Path, help="an ONNX file of the LRCN")
    parser.add_argument("--videos", type=Path, help="the folder of its UCF101 clips")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", module="foolbox")
    with tempfile.TemporaryDirectory(prefix="flowverify-benchmark-") as scratch:
        classifier, videos = _demo(options, Path(scratch)) if options.part == "demo" else _lrcn(options)
    rows = [row for norm in options.norms for row in compared(classifier, videos, Norm(norm), options)]
    print(
        f"\n{platform.platform()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
    )
    for row in rows:
        print("  ".join(f"{cell:<{20}}" for cell in row).rstrip())


def compared(
    classifier: Classifier, clips: list[tuple[str, Any]], norm: Norm, options: argparse.Namespace
) -> Iterator[tuple[str, ...]]:
    """A header, a row for each clip, and the ratios over all."""
    attacks = [name for name in options.attacks if norm in _NORMS[name]]
    yield (f"clip, {norm}", "ours", *attacks, "ratio")
    ratios = []
    for name, clip in clips:
        problem = Problem.build(Specification(clip, classifier, norm, "dense"))
        results = [ours(problem, options.seconds)]
        results += [foolbox_attack(attack, problem, options.seconds, options.bound) for attack in attacks]
        ratios.append(results[0].norm / min(result.norm for result in results[1:]))
        yield (name, *(f"{one.norm:.4g} ({one.gradients})" for one in results), f"{ratios[-1]:.3f}")
        print(name, norm, results, file=sys.stderr, flush=True)
    yield (f"{norm}: median ratio", f"{statistics.median(ratios):.3f}")
    yield (f"{norm}: greatest ratio", f"{max(ratios):.3f}")


def ours(problem: Problem, seconds: float) -> Found:
    """The search that `manage.py verify` runs, alone."""
    search, gradients, until = MinimumNormSearch(problem), 0, time.process_time() + seconds
    while time.process_time() < until:
        search.step(lambda: None, 1)
        gradients += 1
    return Found(_confirmed(problem, search.best), gradients)


def foolbox_attack(name: str, problem: Problem, seconds: float, bound: float) -> Found:
    """One attack of foolbox, again and again until the seconds are spent."""
    import foolbox

    watched = Imposed(problem).eval()
    model = foolbox.PyTorchModel(watched, bounds=(-bound, bound), device=problem.frames.device)
    clip = torch.zeros((1, *problem.space.shape), device=problem.frames.device)
    label = torch.tensor([problem.label], device=problem.frames.device)
    criterion = foolbox.criteria.Misclassification(label)
    build = _builder(name, problem, bound)
    build(1, 1.0)  # Brendel and Bethge's is compiled here
    watched.until = time.process_time() + seconds
    try:
        for again in itertools.count():
            for size in _SIZES[name]:
                attack = build(_STEPS * 2**again, size)
                if name != "bb":
                    attack.run(model, clip, criterion)
                    continue
                if watched.best is None:
                    _builder("fmn", problem, bound)(_STEPS * 2**again, size).run(model, clip, criterion)
                if watched.best is not None:
                    attack.run(model, clip, criterion, starting_points=watched.best[None])
    except SpentError:
        pass
    return Found(_confirmed(problem, watched.best), watched.gradients)


def _builder(name: str, problem: Problem, bound: float) -> Callable[[int, float], Any]:
    """The attack for a number of steps and a step size."""
    from foolbox import attacks

    fmn = attacks.L2FMNAttack if problem.norm is Norm.L2 else attacks.LInfFMNAttack
    bb = attacks.L2BrendelBethgeAttack if problem.norm is Norm.L2 else attacks.LinfinityBrendelBethgeAttack
    # Its trust region is measured in this unit, which suits photographs.
    unit = problem.space.dimensions * 2 * bound
    return {
        "ddn": lambda steps, size: attacks.DDNAttack(steps=steps, gamma=size),
        "fmn": lambda steps, size: fmn(steps=steps, max_stepsize=size),
        "bb": lambda steps, size: bb(steps=steps, lr=size / unit),
        "cw": lambda steps, size: attacks.L2CarliniWagnerAttack(steps=steps, stepsize=size),
    }[name]


def _confirmed(problem: Problem, a: Tensor | None) -> float:
    """The distance of the example at `a`, by the rule that holds for every upper bound."""
    found = None if a is None else confirm(problem, a, None, build_extractor(DEFAULT_EXTRACTOR))
    return math.inf if found is None else found[0].distances[problem.norm]


def _demo(options: argparse.Namespace, scratch: Path) -> tuple[Classifier, list[tuple[str, Any]]]:
    classifier = load_classifier(DEMO)
    videos = [path for path, _ in write_test_videos(scratch, options.clips)][: options.clips]
    return classifier, _read(classifier, videos)


def _lrcn(options: argparse.Namespace) -> tuple[Classifier, list[tuple[str, Any]]]:
    if options.model is None or options.videos is None:
        sys.exit("the part 'lrcn' needs --model FILE.onnx and --videos DIR")
    classifier = load_classifier(options.model, labels=list(UCF_LABELS), channels="bgr", sampling="floor")
    return classifier, _read(classifier, [options.videos / f"{name}.avi" for name in UCF_CLIPS[: options.clips]])


def _read(classifier: Classifier, videos: list[Path]) -> list[tuple[str, Any]]:
    wanted = classifier.input
    size = (wanted.height, wanted.width)
    return [(path.stem, read_clip(path, frames=wanted.frames, size=size, sampling=wanted.sampling)) for path in videos]


if __name__ == "__main__":
    main()
