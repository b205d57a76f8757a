"""The files that show a verification to people: frames, flows and the adversarial example, drawn one at a time."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from verification.engine.flow.pictures import (
    Picture,
    change_picture,
    common_scale,
    direction_picture,
    encode_png,
    frame_picture,
    magnitude_picture,
)
from verification.engine.result import AdversarialExample


class Kind(StrEnum):
    """What a file shows."""

    FRAME = "frame"
    FLOW_MAGNITUDE = "flow-magnitude"
    FLOW_DIRECTION = "flow-direction"
    PERTURBED_FRAME = "perturbed-frame"
    PERTURBED_MAGNITUDE = "perturbed-magnitude"
    PERTURBED_DIRECTION = "perturbed-direction"
    DIFFERENCE_MAGNITUDE = "difference-magnitude"
    DIFFERENCE_DIRECTION = "difference-direction"
    FRAME_DIFFERENCE = "frame-difference"
    ADVERSARIAL_FLOWS = "adversarial-flows"
    ADVERSARIAL_CLIP = "adversarial-clip"


@dataclass(frozen=True)
class File:
    """One file. `flow`: number from 1 of the frame pair that it belongs to (of the frame, for frames), else None."""

    kind: Kind
    flow: int | None
    name: str
    content_type: str
    content: bytes


def original_files(frames: Tensor, flow: Tensor | None) -> Iterator[File]:
    """What was given. `frames`: (l, 3, h, w) in [0, 1]; `flow`: P(v), (l-1, 2, h, w), pixels; None where none is changed."""
    yield from _frames(Kind.FRAME, frames)
    if flow is not None:
        fields = as_fields(flow)
        yield from _flows(Kind.FLOW_MAGNITUDE, Kind.FLOW_DIRECTION, fields, common_scale(fields))


def adversarial_files(flow: Tensor | None, example: AdversarialExample) -> Iterator[File]:
    """What was found: data without loss, then pictures. `flow`: P(v), (l-1, 2, h, w), pixels; None where none is changed.

    `clip.npz` holds `frames`, (l, 3, h, w) float32 in [0, 1]; where the frames themselves are changed also `delta`, the
    change, (l, 3, h, w) float64 pixel values.
    """
    clip = example.clip.detach().cpu().numpy()
    if flow is None:
        delta = example.delta.detach().cpu().numpy()
        yield _npz(Kind.ADVERSARIAL_CLIP, "clip.npz", frames=clip, delta=delta)
        yield from _frames(Kind.PERTURBED_FRAME, example.clip)
        yield from _changes(delta)
    else:
        yield _npz(Kind.ADVERSARIAL_CLIP, "clip.npz", frames=clip)
        yield from _frames(Kind.PERTURBED_FRAME, example.clip)
        yield from _changed_flows(as_fields(flow), as_fields(example.delta))


def _changed_flows(original: NDArray[np.floating], delta: NDArray[np.floating]) -> Iterator[File]:
    """`adversarial-flows.npz` with `delta` and `flow`, (l-1, h, w, 2), pixels, and the pictures.

    The perturbed flow is drawn on the scale of the original one, so that both can be compared by eye; the difference is
    often far smaller and has a scale of its own.
    """
    scale = common_scale(original)
    yield _npz(Kind.ADVERSARIAL_FLOWS, "adversarial-flows.npz", delta=delta, flow=original)
    yield from _flows(Kind.PERTURBED_MAGNITUDE, Kind.PERTURBED_DIRECTION, original + delta, scale)
    yield from _flows(Kind.DIFFERENCE_MAGNITUDE, Kind.DIFFERENCE_DIRECTION, delta, common_scale(delta))


def as_fields(flow: Tensor) -> NDArray[np.floating]:
    """(l-1, 2, h, w) as (l-1, h, w, 2), the order of OpenCV and of the files."""
    fields: NDArray[np.floating] = flow.detach().cpu().permute(0, 2, 3, 1).contiguous().numpy()
    return fields


def _frames(kind: Kind, frames: Tensor) -> Iterator[File]:
    for number, frame in enumerate(frames.detach().cpu().numpy(), 1):
        yield _png(kind, number, frame_picture(frame))


def _changes(delta: NDArray[np.floating]) -> Iterator[File]:
    """The change of every frame, all on one scale: the largest change of the clip."""
    scale = float(np.abs(delta).max()) or 1.0
    for number, change in enumerate(delta, 1):
        yield _png(Kind.FRAME_DIFFERENCE, number, change_picture(change, scale))


def _flows(magnitude: Kind, direction: Kind, fields: NDArray[np.floating], scale: float) -> Iterator[File]:
    for number, field in enumerate(fields, 1):
        yield _png(magnitude, number, magnitude_picture(field, scale))
        yield _png(direction, number, direction_picture(field, scale))


def _png(kind: Kind, number: int, picture: Picture) -> File:
    return File(kind, number, f"{kind.value}-{number:03d}.png", "image/png", encode_png(picture))


def _npz(kind: Kind, name: str, **arrays: NDArray[np.floating]) -> File:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return File(kind, None, name, "application/octet-stream", buffer.getvalue())
