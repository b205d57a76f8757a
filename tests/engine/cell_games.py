"""Games on tiny networks that are solved by enumeration: a dense grid of displacements holds the nearest adversarial example.

In spaces of two dimensions, of which frames one pixel high leave one, an example of the grid lies next to every real-valued one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tests.engine.bounding import CPU
from verification.engine.bounds.problem import Problem
from verification.engine.game.cells import CellSearch
from verification.engine.network.export import export_graph
from verification.engine.perturbation import Norm, build_space

_STEPS = 161  # of the grid along each dimension


class _Tiny(nn.Module):
    """A convolution, a function, and two logits; `straight`: also a path that is affine."""

    def __init__(self, function: nn.Module, frames: Tensor, straight: bool = False) -> None:
        super().__init__()
        self.convolution, self.function = nn.Conv2d(3, 3, (min(2, frames.shape[2]), 2)), function
        self.head = nn.LazyLinear(2)
        self.straight = nn.Linear(frames.numel(), 2) if straight else None
        self(frames.unsqueeze(0))

    def forward(self, clips: Tensor) -> Tensor:
        features = self.function(self.convolution(clips.flatten(0, 1))).reshape(len(clips), -1)
        logits: Tensor = self.head(features)
        return logits if self.straight is None else logits + self.straight(clips.flatten(1))


NETWORKS: dict[str, Callable[[Tensor], _Tiny]] = {
    "affine": lambda frames: _Tiny(nn.Identity(), frames),
    "relu": lambda frames: _Tiny(nn.ReLU(), frames),
    "tanh, two paths": lambda frames: _Tiny(nn.Tanh(), frames, straight=True),
    "max pool": lambda frames: _Tiny(nn.MaxPool2d((1, 2)), frames),
}


@dataclass(frozen=True)
class Game:
    """A problem with all that a dense grid finds: `adversarial` (n, 2) and their `distances` (n,)."""

    problem: Problem
    adversarial: Tensor
    distances: Tensor

    @property
    def nearest(self) -> float:
        return float(self.distances.min())


def make_game(name: str, norm: Norm, height: int, width: int, seed: int) -> Game:
    """The margin of the clip is half of the most that displacements up to two pixels take away."""
    torch.manual_seed(seed)
    frames = torch.rand(2, 3, height, width)
    network = NETWORKS[name](frames).eval()
    space = build_space("translation", 2, height, width, None)
    line = torch.linspace(-2, 2, _STEPS, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line if height > 1 else torch.zeros(1, dtype=torch.float64))
    with torch.no_grad():
        clips = torch.vmap(lambda a: space.perturbed(frames.double(), space.lift(a.view(space.shape))))(grid)
        before = _margins(network.double(), frames.double().unsqueeze(0))
        changes = _margins(network, clips) - before
        most = changes.min() if changes.min() < -changes.max() else changes.max()
        network.head.bias[0] -= before[0] + most / 2
        network.float()
        margins = _margins(network.double(), clips)
    graph = export_graph(network.float(), (1, *frames.shape)).cast(torch.float64, CPU)
    label = 0 if float(most) < 0 else 1
    problem = Problem(graph, frames, space, norm, label)
    adversarial = grid[margins * (1 - 2 * label) <= 0]
    distances = torch.vmap(lambda a: space.norm(a.view(space.shape), norm))(adversarial)
    return Game(problem, adversarial, distances)


def _margins(network: nn.Module, clips: Tensor) -> Tensor:
    logits = network(clips)
    return logits[:, 0] - logits[:, 1]


def estimate_excess(game: Game, search: CellSearch) -> float:
    """By how much the estimate of any cell is above the nearest example of the grid in that cell, at worst."""
    cells, worst = search.frontier.tensors(), -math.inf
    for lower, upper, estimate in zip(cells["lower"], cells["upper"], cells["estimate"], strict=True):
        inside = ((game.adversarial >= lower) & (game.adversarial <= upper)).all(1)
        if bool(inside.any()):
            worst = max(worst, float(estimate - game.distances[inside].min()))
    return worst
