"""docs/flow.md says of every extractor and of every parameter what the program knows."""

from pathlib import Path

import pytest

from verification.engine.flow import EXTRACTORS
from verification.engine.flow.parameters import written

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "flow.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_every_parameter_is_listed_with_default_and_limits(name: str) -> None:
    extractor = EXTRACTORS[name]
    rows = [
        f"| `{name}` | `{key}={written(extractor.defaults()[key])}` | {parameter.purpose} | {parameter.limits} |"
        for key, parameter in extractor.parameters().items()
    ]

    assert "\n".join(rows) in PAGE
