"""Which search a question asks for."""

from verification.engine.bounds.problem import Problem
from verification.engine.flow import build_extractor
from verification.engine.perturbation import Distortion
from verification.engine.search.finite_difference import FiniteDifferenceSearch
from verification.engine.search.minimum_norm import MinimumNormSearch
from verification.engine.search.rays import RaySearch
from verification.engine.search.search import Search
from verification.engine.specification import Specification, UpperMethod


def build_search(specification: Specification, problem: Problem) -> Search:
    """What looks for the upper bound of `problem`, as `specification` asks for it."""
    if specification.upper_method is UpperMethod.FINITE_DIFFERENCE:
        extractor = build_extractor(specification.extractor)
        return FiniteDifferenceSearch(problem, extractor, specification.radius)
    if isinstance(problem.space, Distortion):
        return RaySearch(problem, specification.radius, specification.seed)
    return MinimumNormSearch(problem, specification.radius, specification.seed)
