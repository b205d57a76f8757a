"""Upper bounds: searches for the nearest adversarial example, and its confirmation."""

from verification.engine.search.adversarial import confirm
from verification.engine.search.eight_bit import EightBitProblem
from verification.engine.search.minimum_norm import AdversarialCandidate, MinimumNormSearch

__all__ = ["AdversarialCandidate", "EightBitProblem", "MinimumNormSearch", "confirm"]
