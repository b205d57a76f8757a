"""The loop: passes over the training material until validation no longer improves; the best weights are kept."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from verification.engine.errors import TrainingError
from verification.training.material import Material
from verification.training.recipe import Recipe
from verification.training.schedule import learning_rate

_CLIPPED = 1.0  # the largest norm of a gradient


@dataclass(frozen=True)
class Epoch:
    """After pass number `number` of at most `most`: the mean loss, and the share of validation clips that are right."""

    number: int
    most: int
    loss: float
    validation: float


@dataclass(frozen=True)
class Score:
    """How good weights are: first what is right, then the loss."""

    right: float
    loss: float

    def beats(self, other: "Score | None") -> bool:
        return other is None or (self.right, -self.loss) > (other.right, -other.loss)


def fit(
    network: nn.Module,
    training: Material,
    validation: Material,
    recipe: Recipe,
    device: torch.device,
    progress: Callable[[Epoch], None],
) -> None:
    """Train `network`, which maps batches of the material to logits, and leave the best weights in it, in eval mode.

    With a robust loss, weights count only from when its radius is whole. Raises TrainingError when the loss is not finite.
    """
    optimiser = torch.optim.AdamW(
        [weight for weight in network.parameters() if weight.requires_grad], lr=recipe.rate, weight_decay=recipe.decay
    )
    rng = np.random.default_rng(recipe.seed)
    best, best_score, since = _copied(network), None, 0
    for epoch in range(recipe.epochs):
        loss = _pass(network, training, recipe, device, optimiser, rng, epoch)
        score = _score(network, validation, recipe, device)
        progress(Epoch(epoch + 1, recipe.epochs, loss, score.right))
        if recipe.robust is not None and (epoch + 1) / recipe.epochs < recipe.robust.ramp:
            continue
        since += 1
        if score.beats(best_score):
            best, best_score, since = _copied(network), score, 0
        if since >= recipe.patience:
            break
    network.load_state_dict(best)
    network.eval()


def _pass(
    network: nn.Module,
    material: Material,
    recipe: Recipe,
    device: torch.device,
    optimiser: torch.optim.Optimizer,
    rng: np.random.Generator,
    epoch: int,
) -> float:
    """One pass in random order; the mean loss."""
    network.train()
    batches = math.ceil(len(material) / recipe.batch)
    steps, losses = recipe.epochs * batches, []
    order = rng.permutation(len(material)).tolist()
    for number in range(batches):
        step = epoch * batches + number
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe.rate, step, steps, warm_up=min(100, steps // 10 + 1))
        numbers = order[number * recipe.batch : (number + 1) * recipe.batch]
        inputs, labels = material.batch(numbers, rng).to(device), material.labels[numbers].to(device)
        loss = functional.cross_entropy(network(inputs), labels, label_smoothing=recipe.smoothing)
        if recipe.robust is not None:
            loss = recipe.robust.loss(network, inputs, labels, loss, (step + 1) / steps)
        if not bool(torch.isfinite(loss)):
            raise TrainingError("the loss is no longer a finite number; train with a smaller --rate")
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), _CLIPPED)
        optimiser.step()
        losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


def predictions(network: nn.Module, material: Material, batch: int, device: torch.device) -> Tensor:
    """(n, classes): the logits of all inputs as they are, in eval mode."""
    network.eval()
    with torch.no_grad():
        return torch.cat([network(material.batch(n, None).to(device)).cpu() for n in _numbers(len(material), batch)])


def _numbers(count: int, batch: int) -> Iterator[list[int]]:
    return (list(range(first, min(first + batch, count))) for first in range(0, count, batch))


def _score(network: nn.Module, material: Material, recipe: Recipe, device: torch.device) -> Score:
    logits = predictions(network, material, recipe.batch, device)
    right = (logits.argmax(1) == material.labels).float().mean()
    return Score(float(right), float(functional.cross_entropy(logits, material.labels)))


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
