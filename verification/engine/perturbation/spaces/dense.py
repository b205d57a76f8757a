"""`dense`: every pixel and component of every chosen flow is a dimension of its own."""

import torch
from torch import Tensor

from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.spaces.base import FlowSpace


class Dense(FlowSpace):
    """a: (flows, 2, h, w), delta = a on the chosen flows."""

    name = "dense"

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.flows), 2, self.height, self.width)

    def lift(self, a: Tensor) -> Tensor:
        return self.scatter(a)

    def norm(self, a: Tensor, norm: Norm) -> Tensor:
        return norm.of(a)

    def reach(self, radius: float, norm: Norm) -> Tensor:
        # D_t(x) adds up one component of every earlier chosen flow; n numbers in an Lp ball sum to at most n^(1-1/p) r.
        moved = torch.cat([torch.zeros(1, dtype=torch.float64), self.chosen.cumsum(0)])
        factor = {Norm.L1: moved.clamp(max=1), Norm.L2: moved.sqrt(), Norm.LINF: moved}[norm]
        return factor * radius

    def support(self, signed: Tensor, spread: Tensor, copies: Tensor, norm: Norm) -> Tensor:
        # Hoelder: the dual norm of |signed| + spread, every entry j counted copies[j] times.
        size = signed.abs().add_(spread).flatten(2)
        if norm is Norm.LINF:
            return (size.sum(2) * copies).sum(1)
        if norm is Norm.L2:
            return (torch.linalg.vector_norm(size, dim=2).square() * copies).sum(1).sqrt()
        return torch.where(copies > 0, size.amax(2), size.new_zeros(())).amax(1)

    def shares(self, norm: Norm) -> bool:
        return norm is not Norm.LINF

    def zones(self, norm: Norm) -> tuple[float, ...]:
        # In L2 every pixel has a part z_x of the radius with sum z_x^2 <= r^2, and most have very little of it.
        return (0.2, 0.45) if norm is Norm.L2 else ()

    def pixel_slopes(self, signed: Tensor, spread: Tensor, copies: Tensor, norm: Norm) -> Tensor:
        size = signed.abs().add_(spread)
        if norm is Norm.L1:
            moving = (copies > 0)[:, :, None, None]
            return torch.where(moving, size.amax(2), 0.0).amax(1).flatten(1)
        return (size.square_().sum(2) * copies[:, :, None, None]).sum(1).sqrt_().flatten(1)
