"""What a classifier file holds: tensors, text, and in ONNX files a graph; never code. Nothing is unpickled."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from verification.engine.errors import ClassifierError
from verification.engine.network.exported_program import ProgramNetwork, load_program
from verification.engine.network.onnx_import.model import OnnxModel, is_onnx, parse_model

_LONGEST_LABEL = 200
#: Unicode's categories of control characters and of halves of a character.
_NO_TEXT = {"Cc", "Cs"}
_ZIP = b"PK\x03\x04"
_PICKLES = (_ZIP, b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True)
class ClassifierFile:
    """A file as it was found: `tensors` by name, finite; `metadata`, the texts beside them; the `model` of an ONNX file.

    The tensors of a safetensors file are float32. `program`: the network of a trusted `.pt2` file. `axes`: of the input of these
    two, None where the file leaves them open.
    """

    name: str
    sha256: str
    metadata: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    model: OnnxModel | None = None
    program: ProgramNetwork | None = None
    axes: tuple[int | None, ...] | None = None

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


def inspect_file(path: str | Path, trust: bool = False) -> ClassifierFile:
    """Read a safetensors or ONNX file wholly, and if somebody vouches for it (`trust`) a `.pt2` file.

    Raises ClassifierError when it is missing, neither of them, truncated, empty, or holds a tensor that is not finite or, in a
    safetensors file, not floating point.
    """
    path = Path(path)
    if not path.is_file():
        raise ClassifierError(f"there is no file {path.name}; check the path")
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if _holds_onnx(path, head):
        model = parse_model(path.read_bytes())
        return ClassifierFile(path.name, sha256, model.metadata, model.constants, model, axes=model.axes)
    if path.suffix.lower() == ".pt2" and head.startswith(_ZIP):
        return _trusted(path, sha256, trust)
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
        missing = (
            "not a safetensors file" if path.suffix == ".safetensors" else "neither a safetensors nor an ONNX file"
        )
        raise ClassifierError(
            f"{path.name} is {missing}, or it is truncated; "
            "save the weights with safetensors, or export the model as ONNX, and copy the file again"
        ) from error
    if not tensors:
        raise ClassifierError(f"{path.name} holds no weights; save the state of the trained model into it")
    checked = {name: _checked(name, tensor) for name, tensor in tensors.items()}
    return ClassifierFile(path.name, sha256, metadata, checked)


def _trusted(path: Path, sha256: str, trust: bool) -> ClassifierFile:
    if not trust:
        raise ClassifierError(
            f"{path.name} is an exported program, which may run code when it is read; if you made it yourself, verify it on the "
            "command line with --trust, or else export the network as ONNX"
        )
    program, axes = load_program(path)
    return ClassifierFile(path.name, sha256, {}, {}, program=program, axes=axes)


def _holds_onnx(path: Path, head: bytes) -> bool:
    """Whether the file is to be read as ONNX: it is called so and is no pickle, or begins as such files do."""
    if head.startswith(_PICKLES):
        return False
    header = int.from_bytes(head[:8], "little")  # of a safetensors file
    if head[8:9] == b"{" and header <= path.stat().st_size:
        return False
    return path.suffix.lower() == ".onnx" or is_onnx(head)


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

    Instead of a path it may be the labels themselves as a JSON list, so that a command line can be whole. Raises ClassifierError
    when the file is missing, not UTF-8 text, or holds an empty or a repeated label.
    """
    if str(path).lstrip().startswith("["):
        try:
            return check_labels(json.loads(str(path)))
        except json.JSONDecodeError:
            raise ClassifierError('the labels are not a JSON list of texts such as ["walks", "runs"]') from None
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
        if len(label) > _LONGEST_LABEL or any(unicodedata.category(sign) in _NO_TEXT for sign in label):
            raise ClassifierError(
                f"label {number} is longer than {_LONGEST_LABEL} signs or holds signs that are no text; write a plain name"
            )
        if label in labels[: number - 1]:
            raise ClassifierError(f"the label {label!r} occurs twice; every output needs a label of its own")
    return tuple(labels)
