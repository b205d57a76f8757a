"""Fixtures for all tests: files in the test's own directory, and a broker that only remembers."""

from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from pytest_django import Settings


@pytest.fixture(autouse=True)
def own_files(settings: Settings, tmp_path: Path) -> None:
    """Uploads and media of a test end with it."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.FLOWVERIFY_UPLOADS = tmp_path / "uploads"


@pytest.fixture
def broker() -> Iterator[StubBroker]:
    """The broker of this process, empty before and after; `messages` reads what was sent to it."""
    stub = dramatiq.get_broker()
    assert isinstance(stub, StubBroker)
    stub.flush_all()
    yield stub
    stub.flush_all()
