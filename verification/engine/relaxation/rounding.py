"""The outward margin for floating point (engine contract, section 14; derivation in docs/bounds.md).

A dot product of n terms computed in any order has an error of at most `gamma(n) * sum |a_i b_i|` with
`gamma(n) = n u / (1 - n u)` and u the unit roundoff (Higham, Accuracy and Stability, section 3.1). The search works in
float32 without margin; what it finds counts only once the float64 proof has found it again with the margin.
"""

from dataclasses import dataclass

import torch

_UNIT = 2.0**-53

#: No value of the network may be larger: a proof that meets one is none.
LARGEST = 1e100


@dataclass(frozen=True)
class Rounding:
    """The arithmetic of one evaluation: `rigorous` is the float64 proof, otherwise the float32 search."""

    rigorous: bool

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64 if self.rigorous else torch.float32

    def gamma(self, terms: int) -> float:
        """Relative error of a sum of `terms` products; doubled, and ten terms more, for the margin's own rounding."""
        n = 2 * (terms + 10)
        return n * _UNIT / (1 - n * _UNIT) if self.rigorous else 0.0

    @property
    def underflow(self) -> float:
        """Absolute error allowed for numbers too small for float64, where relative margins say nothing.

        A product that underflows is off by less than 5e-324. While all values stay below `LARGEST`, all such errors of one
        pass together are below this for any network that fits a computer (docs/bounds.md).
        """
        return 1e-200 if self.rigorous else 0.0

    @property
    def squares(self) -> float:
        """Absolute error allowed for one Euclidean norm: squares of numbers below 1e-150 lose digits or vanish.

        Such numbers weigh at most 1e-150 each, hence sqrt(n) 1e-150 together, for the norm within a flow and over flows alike.
        """
        return 1e-138 if self.rigorous else 0.0

    @property
    def function(self) -> float:
        """Absolute error allowed for one evaluation of sigmoid or tanh and its intercept: values are at most 1."""
        return 1e-13 if self.rigorous else 0.0
