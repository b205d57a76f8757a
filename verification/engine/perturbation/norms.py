"""The Lp norms in which perturbations are measured (engine contract, sections 1 and 7)."""

from enum import StrEnum

import torch
from torch import Tensor


class Norm(StrEnum):
    """p in {1, 2, inf}; values are the spellings of the command line and of the API."""

    L1 = "l1"
    L2 = "l2"
    LINF = "linf"

    @property
    def p(self) -> float:
        """The exponent, `inf` for LINF."""
        return {"l1": 1.0, "l2": 2.0, "linf": float("inf")}[self.value]

    @property
    def dual(self) -> "Norm":
        """The norm of order q with 1/p + 1/q = 1 (Hoelder)."""
        return {"l1": Norm.LINF, "l2": Norm.L2, "linf": Norm.L1}[self.value]

    def of(self, x: Tensor) -> Tensor:
        """The norm of all components of `x` together, a scalar tensor."""
        return torch.linalg.vector_norm(x, ord=self.p)
