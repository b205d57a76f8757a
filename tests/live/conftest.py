"""What all tests of jobs and sockets share."""

from collections.abc import Iterator

import pytest

from verification.jobs.interruption import stopping


@pytest.fixture(autouse=True)
def not_stopping() -> Iterator[None]:
    """No test leaves a worker that has been told to stop."""
    yield
    stopping.clear()
