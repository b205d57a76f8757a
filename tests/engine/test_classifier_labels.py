"""Labels come from a text file, one a line."""

from pathlib import Path

import pytest

from verification.engine.errors import ClassifierError
from verification.engine.network import read_labels
from verification.engine.network.inspect import check_labels


def test_one_label_a_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("pan left\n  tilt up \nzurück\n\n", encoding="utf-8")

    assert read_labels(path) == ("pan left", "tilt up", "zurück")


def test_the_mark_that_windows_writes_is_no_part_of_a_label(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbfleft\r\nright\r\n")

    assert read_labels(path) == ("left", "right")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "at least two labels, not 0"),
        (b"left\n", "at least two labels, not 1"),
        (b"left\n\nright\n", "label 2 is empty"),
        (b"left\nright\nleft\n", "'left' occurs twice"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
    ],
)
def test_bad_label_files(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)

    with pytest.raises(ClassifierError, match=expected):
        read_labels(path)


def test_missing_label_file(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match=r"there is no file labels\.txt"):
        read_labels(tmp_path / "labels.txt")


@pytest.mark.parametrize("label", ["\ud800", "a\x00b", "a\nb", "x" * 201])
def test_labels_that_are_no_names(label: str) -> None:
    with pytest.raises(ClassifierError, match="label 2 is longer than 200 signs or holds signs that are no text"):
        check_labels(["walks", label])


def test_labels_as_a_list_of_the_command_line() -> None:
    assert read_labels('["left", "turns right"]') == ("left", "turns right")
    with pytest.raises(ClassifierError, match="not a JSON list"):
        read_labels("[left, right]")
    with pytest.raises(ClassifierError, match="list of texts"):
        read_labels("[1, 2]")
