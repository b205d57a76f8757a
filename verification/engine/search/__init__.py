"""Upper bounds: searches for the nearest adversarial example, and its confirmation."""

from verification.engine.search.adversarial import confirm
from verification.engine.search.choice import build_search
from verification.engine.search.eight_bit import EightBitProblem
from verification.engine.search.finite_difference import FiniteDifferenceSearch
from verification.engine.search.minimum_norm import MinimumNormSearch
from verification.engine.search.search import AdversarialCandidate, Search

__all__ = [
    "AdversarialCandidate",
    "EightBitProblem",
    "FiniteDifferenceSearch",
    "MinimumNormSearch",
    "Search",
    "build_search",
    "confirm",
]
