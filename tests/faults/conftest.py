"""Everything here starts whole servers and kills parts of them: one test after the other."""

from collections.abc import Iterator

import pytest

from tests.server import RealServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "faults" in item.path.parts:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One server for all tests that leave it running: each kills a part that comes back."""
    with RealServer(tmp_path_factory.mktemp("faults") / "home") as server:
        yield server
