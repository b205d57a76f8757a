"""What a person who watches sees of the game: how far it is, and what the players do."""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.bounds.fields import Fields
from verification.engine.game.frontier import Frontier
from verification.engine.perturbation import FlowSpace


@dataclass(frozen=True)
class GamePicture:
    """The state of the game over cells. Distances in the unit of the space.

    `cells` cover the space, and `certified` of them are proven up to `target`; `estimate` is the least of all. `flows` and
    `strategy`: the flows that may change and how likely Player I chooses each. `directions`: of these, how likely Player II then
    acts along x and along y, (flows, 2). `heat`: (h, w), from 0 to 1, where Player II acts.
    """

    cells: int
    certified: int
    estimate: float
    target: float
    flows: tuple[int, ...]
    strategy: tuple[float, ...]
    directions: tuple[tuple[float, float], ...]
    heat: Tensor

    @classmethod
    def of(
        cls, space: FlowSpace, fields: Fields, frontier: Frontier, target: float, estimate: float, weights: Tensor
    ) -> "GamePicture":
        """`weights`: (K,) how likely each dimension is to be chosen, of sum 1."""
        by_flow = weights.view(len(space.flows), -1)
        moved = fields.values.abs().unflatten(0, tuple(by_flow.shape))
        along = torch.einsum("fk,fklcyx->fc", by_flow, moved)
        along = along / along.sum(1, keepdim=True).clamp(min=1e-300)
        heat = torch.einsum("fk,fklcyx->yx", by_flow, moved)
        return cls(
            cells=frontier.count,
            certified=frontier.reaching(target),
            estimate=min(estimate, target),
            target=target,
            flows=space.flows,
            strategy=tuple(by_flow.sum(1).tolist()),
            directions=tuple((x, y) for x, y in along.tolist()),
            heat=heat / heat.amax().clamp(min=1e-300),
        )
