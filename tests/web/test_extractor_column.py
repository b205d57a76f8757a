"""Whatever an extractor may be, its spelling fits into its column: SQLite would not mind, other databases refuse it."""

from hypothesis import given, settings

from tests.engine.test_flow_parameters import extractors
from verification.engine.flow import Extractor
from verification.models import Verification

LONGEST = Verification._meta.get_field("extractor").max_length or 0


@given(extractors())
@settings(max_examples=300)
def test_any_spelling_fits(extractor: Extractor) -> None:
    assert len(extractor.spelled) <= LONGEST
