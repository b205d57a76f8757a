"""The set of clips over which a network is bounded."""

from abc import ABC, abstractmethod

from torch import Tensor

from verification.engine.relaxation import Form, Interval, Rounding


class Region(ABC):
    """A set of clips that the engine can minimise linear functionals over, and that knows every pixel's range.

    `rounding` says in which arithmetic, and so whether what the region says is a proof.
    """

    rounding: Rounding

    @abstractmethod
    def interval(self) -> Interval:
        """The range of every pixel: two tensors (1, l, 3, h, w)."""

    @abstractmethod
    def minimum(self, form: Form) -> Tensor:
        """(P, K): a lower bound of every functional of `form` over the region, the rounding margin taken off."""

    def steepness(self, gradient: Interval) -> Tensor:
        """(K,): by how much `A . v` can change from one clip v of the region to another, divided by their distance.

        An upper bound, rounded up, over all pairs of clips and all A in `gradient` (K, 1, l, 3, h, w), where A may be
        another for every pair. Distances are those in which the region is a ball.
        """
        raise NotImplementedError(f"{type(self).__name__} knows no Lipschitz constants")
