"""What a classifier file holds: tensors and text, never code. Only safetensors is read, nothing is unpickled."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from verification.engine.errors import ClassifierError

_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True)
class ClassifierFile:
    """A file as it was found: `tensors` by name, float32 and finite; `metadata`, the texts beside them."""

    name: str
    sha256: str
    metadata: Mapping[str, str]
    tensors: Mapping[str, Tensor]

    def integer(self, key: str) -> int | None:
        """The metadata `key` as a whole number, None where it is absent. Raises ClassifierError if it is none."""
        text = self.metadata.get(key)
        try:
            return None if text is None else int(text)
        except ValueError:
            raise ClassifierError(f"{self.name}: the metadata {key!r} must be a whole number, not {text!r}") from None

    def decoded(self, key: str) -> Any:
        """The JSON value of the metadata `key`, None where it is absent. Raises ClassifierError if it is no JSON."""
        text = self.metadata.get(key)
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            raise ClassifierError(f"{self.name}: the metadata {key!r} is not valid JSON") from None


def inspect_file(path: str | Path) -> ClassifierFile:
    """Read a safetensors file wholly.

    Raises ClassifierError when it is missing, not safetensors, truncated, empty, or holds a tensor that is not
    floating point or not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise ClassifierError(f"there is no file {path.name}; check the path")
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = dict(stored.metadata() or {})
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, ValueError) as error:
        if head.startswith(_PICKLES):
            raise ClassifierError(
                f"{path.name} is a pickle, which could run code when it is read; "
                "save the weights with safetensors instead"
            ) from None
        raise ClassifierError(
            f"{path.name} is not a safetensors file, or it is truncated; "
            "save the weights with safetensors and copy the file again"
        ) from error
    if not tensors:
        raise ClassifierError(f"{path.name} holds no weights; save the state of the trained model into it")
    checked = {name: _checked(name, tensor) for name, tensor in tensors.items()}
    return ClassifierFile(path.name, sha256, metadata, checked)


def _checked(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        raise ClassifierError(
            f"the weight {name} holds values of type {str(tensor.dtype).removeprefix('torch.')}; "
            "floating point is needed"
        )
    finite = torch.isfinite(tensor.float())
    if not bool(finite.all()):
        raise ClassifierError(
            f"{int((~finite).sum())} of {finite.numel()} values of the weight {name} are NaN or infinite; "
            "train the classifier again or choose an earlier checkpoint"
        )
    return tensor.float()


def read_labels(path: str | Path) -> tuple[str, ...]:
    """The labels in a text file, one a line, in the order of the logits. Blank lines at the end do not count.

    Raises ClassifierError when the file is missing, not UTF-8 text, or holds an empty or a repeated label.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        raise ClassifierError(f"there is no file {path.name}; check the path of the labels") from None
    except UnicodeDecodeError:
        raise ClassifierError(f"{path.name} is not UTF-8 text; write one label a line") from None
    return check_labels([line.strip() for line in text.rstrip().splitlines()])


def check_labels(labels: object) -> tuple[str, ...]:
    """The labels as a tuple. Raises ClassifierError unless they are two or more different texts, none empty."""
    if not isinstance(labels, list | tuple) or not all(isinstance(label, str) for label in labels):
        raise ClassifierError("the labels must be a list of texts, one for each output of the classifier")
    if len(labels) < 2:
        raise ClassifierError(f"a classifier needs at least two labels, not {len(labels)}; write one a line")
    for number, label in enumerate(labels, start=1):
        if not label.strip():
            raise ClassifierError(f"label {number} is empty; write one label a line")
        if label in labels[: number - 1]:
            raise ClassifierError(f"the label {label!r} occurs twice; every output needs a label of its own")
    return tuple(labels)
