"""The certificate of a lower bound as a file: what it claims, and the cover by which it can be checked.

A JSON text, so that any program can read it: numbers are written with all their digits, nothing in it is executed.
"""

import hashlib
import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, Self

from torch import Tensor

from verification.engine.certificate.cover import Split
from verification.engine.errors import EngineError
from verification.engine.network.input import InputSpecification
from verification.engine.perturbation import Norm

FORMAT = "flowverify.certificate/1"
#: How a flow is imposed on the frames: displacements add up from frame to frame (engine contract, section 2).
IMPOSITION = "accumulated"
#: How rounding is counted: every operation's error in float64, outward (docs/bounds.md, "Certificates").
ROUNDING = "float64, outward"

_MOST_BYTES = 1 << 28
_MOST_SPLITS = 1 << 20
_MOST_DIMENSIONS = 1 << 40


class Method(StrEnum):
    """By what the claim is proven: the leaves of a cover, or the whole ball at once."""

    CELLS = "cells"
    BALL = "ball"


class CertificateError(EngineError):
    """A certificate that cannot be read, or cannot be made; the message says why."""


@dataclass(frozen=True)
class Certificate:
    """The claim that every real-valued perturbation of `space` and `flows` with norm <= `radius` keeps the class `label`.

    `classifier`: sha256 of its file, read as `architecture` with `input`. `clip`: `clip_hash` of the frames that were
    classified; `mirrored`: they are the video's, mirrored left to right. `extractor`: of the flow, for spaces that depend on it.
    `flows`: none where the frames themselves are changed. `splits`: from R^K to the leaves (`cover.leaves_of`), none for a ball.
    `digest`: of all the rest, against accidents; it proves nothing.
    """

    classifier: str
    architecture: str
    clip: str
    input: InputSpecification
    space: str
    flows: tuple[int, ...]
    extractor: str
    norm: Norm
    radius: float
    label: int
    method: Method
    dimensions: int
    splits: tuple[Split, ...]
    mirrored: bool = False
    digest: str = ""

    def content(self) -> dict[str, Any]:
        """All but the digest, in JSON's types."""
        return {
            "format": FORMAT,
            "classifier": {"sha256": self.classifier, "architecture": self.architecture, "input": asdict(self.input)},
            "clip": {"sha256": self.clip, **({"mirrored": True} if self.mirrored else {})},
            "imposition": IMPOSITION,
            "space": self.space,
            "flows": list(self.flows),
            "extractor": self.extractor,
            "norm": self.norm.value,
            "radius": self.radius,
            "label": self.label,
            "rounding": ROUNDING,
            "method": self.method.value,
            "cover": {
                "dimensions": self.dimensions,
                "splits": [[split.cell, split.dimension, split.place] for split in self.splits],
            },
        }

    def sealed(self) -> "Certificate":
        """The same with its digest."""
        return replace(self, digest=_digest(self.content()))

    @property
    def intact(self) -> bool:
        """Whether the digest is that of the content."""
        return self.digest == _digest(self.content())

    def save(self, path: str | Path) -> None:
        """Write the file whole or not at all."""
        path = Path(path)
        content = _canonical({**self.content(), "digest": self.digest})
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".flowverify-") as scratch:
            draft = Path(scratch) / path.name
            draft.write_text(content + "\n", encoding="utf-8")
            draft.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file. Raises CertificateError for anything that is not a certificate, with the reason."""
        path = Path(path)
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise CertificateError(f"{path.name} is larger than any certificate: {_MOST_BYTES >> 20} MB")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CertificateError(f"{path.name} cannot be read: {error}") from error
        return cls.parse(text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The certificate that a file's text says. Raises CertificateError."""
        try:
            document = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise CertificateError(f"this is not the JSON text of a certificate: {error or 'too deep'}") from error
        return cls._of(_Reader(document, "the certificate"))

    @classmethod
    def _of(cls, reader: "_Reader") -> Self:
        reader.fixed("format", FORMAT)
        reader.fixed("imposition", IMPOSITION)
        reader.fixed("rounding", ROUNDING)
        classifier, clip, cover = (reader.part(key) for key in ("classifier", "clip", "cover"))
        dimensions = cover.whole("dimensions", 1, _MOST_DIMENSIONS)
        made = cls(
            classifier=classifier.sha256("sha256"),
            architecture=classifier.text("architecture"),
            clip=clip.sha256("sha256"),
            mirrored=clip.flag("mirrored"),
            input=_input(classifier.part("input")),
            space=reader.text("space"),
            flows=tuple(_whole(flow, "a flow") for flow in reader.entries("flows")),
            extractor=reader.text("extractor"),
            norm=_norm(reader.text("norm")),
            radius=reader.length("radius"),
            label=reader.whole("label", 0, 1 << 31),
            method=_method(reader.text("method")),
            dimensions=dimensions,
            splits=tuple(_split(entry) for entry in cover.entries("splits")),
            digest=reader.sha256("digest"),
        )
        for part in (reader, classifier, clip, cover):
            part.finish()
        return made


def clip_hash(frames: Tensor) -> str:
    """sha256 of the frames (l, 3, h, w) that were classified: their shape, and their values as little-endian float32."""
    values = frames.detach().cpu().float().contiguous().numpy()
    return hashlib.sha256(json.dumps(list(values.shape)).encode() + values.astype("<f4").tobytes()).hexdigest()


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _no_number(text: str) -> NoReturn:
    raise CertificateError(f"the certificate holds {text}, which is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise CertificateError("the certificate says something twice")
    return content


class _Reader:
    """Takes the entries of a JSON object one by one, each of the type that it must have."""

    def __init__(self, content: Any, what: str) -> None:
        if not isinstance(content, dict):
            raise CertificateError(f"{what} must be a JSON object")
        self._left, self._what = dict(content), what

    def take(self, key: str) -> Any:
        """What is there, of any type."""
        if key not in self._left:
            raise CertificateError(f"{self._what} does not say {key!r}")
        return self._left.pop(key)

    def finish(self) -> None:
        """Refuse what nobody asked for."""
        if self._left:
            raise CertificateError(f"{self._what} says {sorted(self._left)[0]!r}, which is not known")

    def part(self, key: str) -> "_Reader":
        return _Reader(self.take(key), f"{key!r}")

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str):
            raise CertificateError(f"{key!r} must be a text")
        return value

    def fixed(self, key: str, known: str) -> None:
        value = self.text(key)
        if value != known:
            raise CertificateError(f"the certificate's {key} is {value[:80]!r}; this program knows {known!r} only")

    def sha256(self, key: str) -> str:
        value = self.text(key)
        if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
            raise CertificateError(f"{key!r} must be a hash of 64 digits")
        return value

    def flag(self, key: str) -> bool:
        """Whether it is set. Left out where it is not, as in files from before there was such a flag: one spelling for each."""
        if key not in self._left:
            return False
        if self.take(key) is not True:
            raise CertificateError(f"{key!r} must be true, or be left out")
        return True

    def whole(self, key: str, least: int, most: int) -> int:
        value = _whole(self.take(key), repr(key))
        if not least <= value <= most:
            raise CertificateError(f"{key!r} must be from {least} to {most}, not {value}")
        return value

    def length(self, key: str) -> float:
        value = _number(self.take(key), repr(key))
        if value <= 0:
            raise CertificateError(f"{key!r} must be above zero, not {value}")
        return value

    def entries(self, key: str) -> list[Any]:
        value = self.take(key)
        if not isinstance(value, list) or len(value) > _MOST_SPLITS:
            raise CertificateError(f"{key!r} must be a list of at most {_MOST_SPLITS} entries")
        return value


def _whole(value: Any, what: str) -> int:
    if type(value) is not int:
        raise CertificateError(f"{what} must be a whole number, not {str(value)[:40]!r}")
    return value


def _number(value: Any, what: str) -> float:
    try:
        number = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise CertificateError(f"{what} must be a finite number, not {str(value)[:40]!r}")
    return number


def _norm(text: str) -> Norm:
    if text not in set(Norm):
        raise CertificateError(f"there is no norm {text[:40]!r}")
    return Norm(text)


def _method(text: str) -> Method:
    if text not in set(Method):
        raise CertificateError(f"there is no method {text[:40]!r}; this program knows {', '.join(Method)}")
    return Method(text)


def _split(entry: Any) -> Split:
    if not isinstance(entry, list) or len(entry) != 3:
        raise CertificateError("a split must be a list of a leaf, a dimension and a place")
    return Split(_whole(entry[0], "a leaf"), _whole(entry[1], "a dimension"), _number(entry[2], "a place"))


def _input(reader: _Reader) -> InputSpecification:
    names = [field.name for field in fields(InputSpecification)]
    values = {name: reader.take(name) for name in names}
    reader.finish()
    for name in ("frames", "height", "width"):
        _whole(values[name], name)
    for name in ("mean", "deviation"):
        if values[name] is not None:
            if not isinstance(values[name], list):
                raise CertificateError(f"{name!r} must be a list of numbers")
            values[name] = tuple(_number(number, name) for number in values[name])
    for name in ("channels", "sampling", "order", "range"):
        if not isinstance(values[name], str):
            raise CertificateError(f"{name!r} must be a text")
    try:
        return InputSpecification(**values)
    except EngineError as error:
        raise CertificateError(f"the classifier's input makes no sense: {error}") from error
