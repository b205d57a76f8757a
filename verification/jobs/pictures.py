"""The files that show a verification to people: frames, flows and the adversarial example."""

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from verification.engine import AdversarialExample
from verification.engine.flow.pictures import (
    Picture,
    common_scale,
    direction_picture,
    encode_png,
    frame_picture,
    magnitude_picture,
)
from verification.models import Artifact
from verification.services.artifacts import ArtifactFile

Kind = Artifact.Kind
Fields = NDArray[np.floating]


def original_files(frames: Tensor, flow: Tensor) -> Iterator[ArtifactFile]:
    """What was given. `frames`: (l, 3, h, w) in [0, 1]; `flow`: (l-1, 2, h, w), pixels."""
    fields = as_fields(flow)
    scale = common_scale(fields)
    for number, frame in enumerate(frames.numpy(), 1):
        yield _png(Kind.FRAME, number, frame_picture(frame))
    for number, field in enumerate(fields, 1):
        yield _png(Kind.FLOW_MAGNITUDE, number, magnitude_picture(field, scale))
        yield _png(Kind.FLOW_DIRECTION, number, direction_picture(field, scale))


def adversarial_files(flow: Tensor, example: AdversarialExample) -> Iterator[ArtifactFile]:
    """What was found: data without loss, then pictures.

    The perturbed flow is drawn on the scale of the original one, so that both can be compared by eye; the
    difference is often far smaller and has a scale of its own.
    """
    original, delta = as_fields(flow), as_fields(example.delta)
    scale, fine = common_scale(original), common_scale(delta)
    clip = example.clip.detach().cpu().numpy()
    yield _npz(Kind.ADVERSARIAL_FLOWS, "adversarial-flows.npz", {"delta": delta, "flow": original})
    yield _npz(Kind.ADVERSARIAL_CLIP, "clip.npz", {"frames": clip})
    for number, frame in enumerate(clip, 1):
        yield _png(Kind.PERTURBED_FRAME, number, frame_picture(frame))
    for number, (field, change) in enumerate(zip(original, delta, strict=True), 1):
        yield _png(Kind.PERTURBED_MAGNITUDE, number, magnitude_picture(field + change, scale))
        yield _png(Kind.PERTURBED_DIRECTION, number, direction_picture(field + change, scale))
        yield _png(Kind.DIFFERENCE_MAGNITUDE, number, magnitude_picture(change, fine))
        yield _png(Kind.DIFFERENCE_DIRECTION, number, direction_picture(change, fine))


def as_fields(flow: Tensor) -> Fields:
    """(l-1, 2, h, w) as (l-1, h, w, 2), the order of OpenCV and of the artifacts."""
    fields: Fields = flow.detach().cpu().permute(0, 2, 3, 1).contiguous().numpy()
    return fields


def _png(kind: Artifact.Kind, number: int, picture: Picture) -> ArtifactFile:
    return ArtifactFile(kind, number, f"{kind.value}-{number:03d}.png", "image/png", encode_png(picture))


def _npz(kind: Artifact.Kind, name: str, arrays: dict[str, Fields]) -> ArtifactFile:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)  # not compressed: this runs in the middle of the search
    return ArtifactFile(kind, None, name, "application/octet-stream", file.getvalue())
