"""Training of the demo classifier `camera_motion`: plain cross entropy, fixed seed, minutes on two cores."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from verification.demo.camera import LABELS
from verification.demo.dataset import (
    LENGTH,
    SIZE,
    Clips,
    testing_clips,
    testing_source,
    training_clips,
    training_sources,
)
from verification.demo.source import Source
from verification.engine.network import ARCHITECTURES, InputSpecification, save_classifier
from verification.training.accuracy import Accuracy
from verification.training.robust import RobustLoss
from verification.training.schedule import learning_rate

ARCHITECTURE = "camera_motion"
WEIGHTS = Path(__file__).with_name("camera_motion.safetensors")


@dataclass(frozen=True)
class Recipe:
    """How the committed weights were trained. `smoothing`: of the labels. `robust`: what joins the plain loss, if anything."""

    steps: int = 1600
    batch: int = 64
    rate: float = 3e-3
    stem_decay: float = 0.05
    memory_decay: float = 0.3
    smoothing: float = 0.1
    robust: RobustLoss | None = None


def train(
    footage: dict[str, Path],
    *,
    recipe: Recipe | None = None,
    seed: int = 0,
    start: nn.Module | None = None,
    progress: Callable[[int, float, float], None] = lambda step, loss, seconds: None,
) -> nn.Module:
    """A trained `camera_motion` network in eval mode; `progress` gets (step, loss, seconds so far).

    `start`: a network with the default parameters whose weights training starts from, instead of random ones.
    """
    recipe = recipe or Recipe()
    torch.manual_seed(seed)
    network = new_network()
    if start is not None:
        network.load_state_dict(start.state_dict())
    # One thread: the order of sums, and with it the last digit of every weight, would depend on the number of threads.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _fit(network, training_sources(footage), recipe, np.random.default_rng(seed), progress)
    finally:
        torch.set_num_threads(threads)
    return network.eval()


def _fit(
    network: nn.Module,
    sources: Sequence[Source],
    recipe: Recipe,
    rng: np.random.Generator,
    progress: Callable[[int, float, float], None],
) -> None:
    optimiser = _optimiser(network, recipe)
    started = time.monotonic()
    for step in range(recipe.steps):
        clips = training_clips(rng, sources, recipe.batch)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe.rate, step, recipe.steps)
        logits = network(clips.frames)
        loss = nn.functional.cross_entropy(logits, clips.labels, label_smoothing=recipe.smoothing)
        if recipe.robust is not None:
            loss = recipe.robust.loss(network, clips.frames, clips.labels, loss, (step + 1) / recipe.steps)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        progress(step + 1, float(loss.detach()), time.monotonic() - started)


def new_network() -> nn.Module:
    """`camera_motion` with its default parameters, untrained."""
    return ARCHITECTURES[ARCHITECTURE].build({}, frames=LENGTH, height=SIZE, width=SIZE, classes=len(LABELS))


def save(network: nn.Module, path: Path) -> None:
    """Write a classifier file that needs no options to be read."""
    save_classifier(
        path,
        network,
        architecture=ARCHITECTURE,
        config={},
        labels=LABELS,
        input=InputSpecification(frames=LENGTH, height=SIZE, width=SIZE),
    )


def measure(network: nn.Module, footage: dict[str, Path], *, clips: int = 1400) -> Accuracy:
    """The accuracy on random clips from the footage that training never saw."""
    test = testing_clips(testing_source(footage), clips)
    named = _predictions(network, test)
    return Accuracy.of(LABELS, test.labels, named)


def _predictions(network: nn.Module, clips: Clips) -> Tensor:
    with torch.no_grad():
        return torch.cat([network(part).argmax(1) for part in clips.frames.split(50)])


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; the decay is strong where small weights make tight bounds, weak where only the confidence depends on it."""
    decays = {
        "stem": recipe.stem_decay,
        "features": recipe.memory_decay,
        "lstm": recipe.memory_decay,
        "head": 1e-3,
    }
    groups = [
        {"params": list(network.get_submodule(name).parameters()), "weight_decay": decay}
        for name, decay in decays.items()
    ]
    return torch.optim.AdamW(groups, lr=recipe.rate)
