"""The set of clips over which a network is bounded."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from verification.engine.bounds.joint import Excess
from verification.engine.bounds.places import Place
from verification.engine.relaxation import Cone, Form, Interval, Rounding


class Region(ABC):
    """A set of clips that the engine can minimise linear functionals over, and that knows every pixel's range.

    `rounding` says in which arithmetic, and so whether what the region says is a proof.
    """

    rounding: Rounding
    radius: float

    @abstractmethod
    def interval(self) -> Interval:
        """The range of every pixel: two tensors (1, l, 3, h, w)."""

    @abstractmethod
    def minimum(self, form: Form) -> Tensor:
        """(P, K): a lower bound of every functional of `form` over the region, the rounding margin taken off."""

    def cone(self) -> Cone | None:
        """The pixels' cones, in regions whose radius the pixels share, so that what they do together is less than a sum."""
        return None

    def stretch(self, overlap: int) -> float:
        """For `Cone.stretched`, where each pixel that n places see, at most `overlap`, counts for each of them as an n-th."""
        return 1.0

    def minima(
        self, form: Form, excesses: Sequence[Excess] = (), budgets: Sequence[float] = (), place: Place | None = None
    ) -> Tensor:
        """(P, K, 3): lower bounds of every functional at the clip itself, over the region, and over more than that.

        What holds with a share of the radius lies above the straight line between the first two, and above that between the
        first and the last if of the pixels that several places see a part alone is counted for the functional's own `place`.
        `excesses`, which there are in regions with a `cone` alone, are taken off; their heights are those for `budgets`.
        """
        least = self.minimum(form)
        return torch.stack([least, least, least], -1)

    def steepness(self, gradient: Interval) -> Tensor:
        """(K,): by how much `A . v` can change from one clip v of the region to another, divided by their distance.

        An upper bound, rounded up, over all pairs of clips and all A in `gradient` (K, 1, l, 3, h, w), where A may be
        another for every pair. Distances are those in which the region is a ball.
        """
        raise NotImplementedError(f"{type(self).__name__} knows no Lipschitz constants")
