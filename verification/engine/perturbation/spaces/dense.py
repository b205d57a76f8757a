"""`dense`: every pixel and component of every chosen flow is a dimension of its own."""

import torch
from torch import Tensor

from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.spaces.base import FlowSpace
from verification.engine.perturbation.spaces.window import Window


class Dense(FlowSpace):
    """a: (flows, 2, h, w), delta = a on the chosen flows."""

    name = "dense"
    example = "dense"

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.flows), 2, self.height, self.width)

    def lift(self, a: Tensor) -> Tensor:
        return self.scatter(a)

    def norm(self, a: Tensor, norm: Norm) -> Tensor:
        return norm.of(a)

    def scales(self, norm: Norm) -> Tensor | None:
        return torch.ones(())

    def stride(self, norm: Norm) -> float:
        return 1.0

    def support(self, signed: Tensor, spread: Tensor, window: Window, norm: Norm) -> Tensor:
        # Hoelder: the dual norm of |signed| + spread, every entry counted as often as there are flows with it.
        size, copies = signed.abs().add_(spread), self.copies(window).to(signed)
        if norm is Norm.LINF:
            return (size.sum(2) * copies).flatten(1).sum(1)
        if norm is Norm.L2:
            return (size.square_().sum(2) * copies).flatten(1).sum(1).sqrt()
        return torch.where(copies > 0, size.amax(2), size.new_zeros(())).flatten(1).amax(1)

    def shares(self, norm: Norm) -> bool:
        return norm is not Norm.LINF

    def zones(self, norm: Norm) -> tuple[float, ...]:
        # In L2 every pixel has a part z_x of the radius with sum z_x^2 <= r^2, and most have very little of it.
        return (0.2, 0.45) if norm is Norm.L2 else ()

    def pixel_slopes(self, signed: Tensor, spread: Tensor, window: Window, norm: Norm) -> Tensor:
        size, copies = signed.abs().add_(spread), self.copies(window).to(signed)
        if norm is Norm.L1:
            return torch.where(copies > 0, size.amax(2), size.new_zeros(())).amax(1).flatten(1)
        return (size.square_().sum(2) * copies).sum(1).sqrt_().flatten(1)
