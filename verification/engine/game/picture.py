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
    moved = torch.einsum("k,klcyx->kcyx", weights, fields.values.abs())
    chosen = [space.flow_of(dimension) for dimension in range(len(weights))]
    of_flow = torch.tensor([[float(flow == mine) for mine in chosen] for flow in space.flows]).to(weights)  # (flows, K)
    along = of_flow @ moved.sum((2, 3))
    along = along / along.sum(1, keepdim=True).clamp(min=1e-300)
    heat = moved.sum((0, 1))
    return GamePicture(
        cells=frontier.count,
        certified=frontier.reaching(target),
        bounded=bounded,
        estimate=min(estimate, target),
        target=target,
        flows=space.flows,
        strategy=tuple((of_flow @ weights).tolist()),
        directions=tuple((x, y) for x, y in along.tolist()),
        heat=heat / heat.amax().clamp(min=1e-300),
    )
