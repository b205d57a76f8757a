"""What a person who watches sees of the game, made of the search's state."""

import torch
from torch import Tensor

from verification.engine.bounds.fields import Fields
from verification.engine.game.frontier import Frontier
from verification.engine.perturbation import FlowSpace
from verification.engine.result import GamePicture


def picture_of(
    space: FlowSpace, fields: Fields, frontier: Frontier, target: float, estimate: float, bounded: int, weights: Tensor
) -> GamePicture:
    """`weights`: (K,) how likely each dimension is to be chosen, of sum 1; the rest is as in `GamePicture`."""
    by_flow = weights.view(len(space.flows), -1)
    moved = fields.values.abs().unflatten(0, tuple(by_flow.shape))
    along = torch.einsum("fk,fklcyx->fc", by_flow, moved)
    along = along / along.sum(1, keepdim=True).clamp(min=1e-300)
    heat = torch.einsum("fk,fklcyx->yx", by_flow, moved)
    return GamePicture(
        cells=frontier.count,
        certified=frontier.reaching(target),
        bounded=bounded,
        estimate=min(estimate, target),
        target=target,
        flows=space.flows,
        strategy=tuple(by_flow.sum(1).tolist()),
        directions=tuple((x, y) for x, y in along.tolist()),
        heat=heat / heat.amax().clamp(min=1e-300),
    )
