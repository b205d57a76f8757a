"""`translation`: every chosen flow is shifted as a whole, two dimensions a flow."""

import torch
from torch import Tensor

from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.spaces.base import FlowSpace


class Translation(FlowSpace):
    """a: (flows, 2), delta_s(x) = a_s for every pixel x, hence ||delta||_p = (h w)^(1/p) ||a||_p."""

    name = "translation"

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.flows), 2)

    def _scale(self, norm: Norm) -> float:
        """||delta||_p / ||a||_p."""
        pixels = float(self.height * self.width)
        return {Norm.L1: pixels, Norm.L2: pixels**0.5, Norm.LINF: 1.0}[norm]

    def lift(self, a: Tensor) -> Tensor:
        return self.scatter(a[:, :, None, None].expand(-1, -1, self.height, self.width))

    def norm(self, a: Tensor, norm: Norm) -> Tensor:
        return norm.of(a) * self._scale(norm)

    def reach(self, radius: float, norm: Norm) -> Tensor:
        moved = torch.cat([torch.zeros(1, dtype=torch.float64), self.chosen.cumsum(0)])
        factor = {Norm.L1: moved.clamp(max=1), Norm.L2: moved.sqrt(), Norm.LINF: moved}[norm]
        return factor * radius / self._scale(norm)

    def support(self, signed: Tensor, spread: Tensor, copies: Tensor, norm: Norm) -> Tensor:
        # B^T on the signed part, |B|^T on the spread, then the dual norm on `a`.
        size = signed.sum((3, 4)).abs() + spread.sum((3, 4))
        weighted = copies.unsqueeze(2)
        if norm is Norm.LINF:
            dual = (size * weighted).sum((1, 2))
        elif norm is Norm.L2:
            dual = (size.square() * weighted).sum((1, 2)).sqrt()
        else:
            dual = torch.where(weighted > 0, size, size.new_zeros(())).amax((1, 2))
        return dual / self._scale(norm)
