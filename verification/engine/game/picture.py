"""What a person who watches sees of the game, made of the search's state."""

import torch
from torch import Tensor

from verification.engine.bounds.families import ClipFamily, MovedClips
from verification.engine.game.frontier import Frontier
from verification.engine.perturbation import FlowSpace
from verification.engine.result import GamePicture

_Players = tuple[tuple[int, ...], tuple[float, ...], tuple[tuple[float, float], ...]]


def picture_of(
    family: ClipFamily, frontier: Frontier, target: float, estimate: float, bounded: int, weights: Tensor
) -> GamePicture:
    """`weights`: (K,) how likely each dimension is to be chosen, of sum 1; the rest is as in `GamePicture`."""
    heat = family.heat(weights).cpu()
    flows, strategy, directions = _players(family, weights) if isinstance(family, MovedClips) else ((), (), ())
    return GamePicture(
        cells=frontier.count,
        certified=frontier.reaching(target),
        bounded=bounded,
        estimate=estimate,
        target=target,
        flows=flows,
        strategy=strategy,
        directions=directions,
        heat=heat / heat.amax().clamp(min=1e-300),
    )


def _players(family: MovedClips, weights: Tensor) -> _Players:
    """The flows, how likely Player I chooses each, and how likely Player II then acts along x and along y."""
    space: FlowSpace = family.space
    moved = family.moved(weights.to(family.fields.values)).cpu()
    chosen = [space.flow_of(dimension) for dimension in range(len(weights))]
    of_flow = torch.tensor([[float(flow == mine) for mine in chosen] for flow in space.flows]).to(moved)  # (flows, K)
    along = of_flow @ moved.sum((2, 3))
    along = along / along.sum(1, keepdim=True).clamp(min=1e-300)
    return space.flows, tuple((of_flow @ weights.to(of_flow)).tolist()), tuple((x, y) for x, y in along.tolist())
