"""All that a run needs to go on later: a safetensors file with JSON metadata, tied to its question. Never a pickle."""

import hashlib
import json
import struct
from dataclasses import asdict, dataclass
from typing import Any, Self

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from verification.engine.errors import CheckpointError
from verification.engine.result import BoundPoint
from verification.engine.specification import Specification, UpperMethod

_KEY = "flowverify.checkpoint"
PROOF = "proof."  #: before the names of the proof's tensors
_VERSION = 5  # raised with every mended bound: what an older engine believed is not taken over


def fingerprint(specification: Specification) -> str:
    """Hash of everything on which the two bounds depend; the budget and the device are free to change."""
    clip, classifier = specification.clip, specification.classifier
    question = {
        "frames": hashlib.sha256(clip.frames.contiguous().numpy().tobytes()).hexdigest(),
        "classifier": classifier.sha256,
        "architecture": classifier.architecture,
        "input": str(classifier.input),
        "norm": specification.norm.value,
        "space": specification.space,
        "flows": specification.flows,
        "radius": specification.radius,
        "tau": specification.tau,
        "query": specification.query,
        "eight_bit": specification.eight_bit,
        "lower_method": specification.lower_method.value,
        "extractor": specification.extractor,
        "seed": specification.seed,
    }
    if specification.upper_method is not UpperMethod.GRADIENT:  # what was written before there was a choice stays valid
        question["upper_method"] = specification.upper_method.value
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """`elapsed` seconds and `rounds` done so far, the bounds in order, and the states of both searches.

    `tensors`: the search's own, "found", the coordinates of the adversarial example behind the upper bound, and those of the
    proof, with `PROOF` before their names.
    """

    fingerprint: str
    elapsed: float
    rounds: int
    history: tuple[BoundPoint, ...]
    search: dict[str, Any]
    proof: dict[str, Any]
    tensors: dict[str, Tensor]

    def to_bytes(self) -> bytes:
        content = {
            "version": _VERSION,
            "fingerprint": self.fingerprint,
            "elapsed": self.elapsed,
            "rounds": self.rounds,
            "history": [asdict(point) for point in self.history],
            "search": self.search,
            "proof": self.proof,
        }
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        return save(tensors, metadata={_KEY: json.dumps(content, allow_nan=False)})

    @classmethod
    def from_bytes(cls, data: bytes, question: str) -> Self:
        """Raises CheckpointError for damaged bytes, another version, or another question than `question`."""
        try:
            content, tensors = _metadata(data), load(data)
            if content["version"] != _VERSION:
                raise CheckpointError("the checkpoint was written by another version; start the verification anew")
            checkpoint = cls(
                fingerprint=str(content["fingerprint"]),
                elapsed=float(content["elapsed"]),
                rounds=int(content["rounds"]),
                history=tuple(BoundPoint(**point) for point in content["history"]),
                search=dict(content["search"]),
                proof=dict(content["proof"]),
                tensors=tensors,
            )
        except (SafetensorError, struct.error, ValueError, KeyError, TypeError) as error:
            raise CheckpointError("the checkpoint is damaged; start the verification anew") from error
        if checkpoint.fingerprint != question:
            raise CheckpointError(
                "the checkpoint belongs to another question (clip, classifier, norm, space, flows, radius, rounding, seed or the "
                "ways to the bounds differ); start the verification anew"
            )
        return checkpoint


def _metadata(data: bytes) -> dict[str, Any]:
    """The JSON in the header: safetensors reads metadata from files only, not from bytes."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    content = json.loads(header["__metadata__"][_KEY])
    if not isinstance(content, dict):
        raise TypeError("not an object")
    return content
