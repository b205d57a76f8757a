"""The files that show a verification to people: frames, flows and the adversarial example, drawn one at a time."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from verification.engine.clip.films import lossless_film, web_film, zip_of
from verification.engine.comparison import most_changed, side_by_side
from verification.engine.flow.middlebury import flo_bytes
from verification.engine.flow.pictures import (
    Picture,
    arrows_picture,
    change_picture,
    common_scale,
    direction_picture,
    encode_png,
    enlarged,
    frame_picture,
    magnitude_picture,
)
from verification.engine.result import AdversarialExample

#: Small frames are enlarged to about this many pixels, or there would be no room for arrows.
ARROWS_SIDE = 256
#: Of the squares that have an arrow each, in pixels of the enlarged frame: to be made out in the small pictures of a report too.
ARROWS_SPACING = 24


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
    FLOW_ARROWS = "flow-arrows"
    PERTURBED_ARROWS = "perturbed-arrows"
    DIFFERENCE_ARROWS = "difference-arrows"
    FRAME_DIFFERENCE = "frame-difference"
    COMPARISON = "comparison"
    COMPARISON_STILL = "comparison-still"
    ADVERSARIAL_FLOWS = "adversarial-flows"
    ADVERSARIAL_CLIP = "adversarial-clip"
    LOSSLESS_CLIP = "lossless-clip"
    ORIGINAL_FLO = "original-flo"
    PERTURBED_FLO = "perturbed-flo"


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
        yield _flo(Kind.ORIGINAL_FLO, "original-flows-flo.zip", fields)
        yield from _flows(_ORIGINAL, frames, fields, common_scale(fields))


def adversarial_files(frames: Tensor, flow: Tensor | None, example: AdversarialExample) -> Iterator[File]:
    """What was found: data without loss, a film, then pictures. `frames` and `flow`: as for `original_files`.

    `clip.npz` holds `frames`, (l, 3, h, w) float32 in [0, 1]; where the frames themselves are changed also `delta`, the
    change, (l, 3, h, w) float64 pixel values. `clip-8-bit` is the same clip rounded to 8 bits, as any program shows it.
    """
    clip = example.clip.detach().cpu().numpy()
    data = {"frames": clip} if flow is not None else {"frames": clip, "delta": example.delta.detach().cpu().numpy()}
    yield _npz(Kind.ADVERSARIAL_CLIP, "clip.npz", **data)
    film = lossless_film([frame_picture(frame) for frame in clip])
    yield File(Kind.LOSSLESS_CLIP, None, f"clip-8-bit{film.suffix}", film.content_type, film.content)
    yield from _comparison(frames.detach().cpu().numpy(), clip)
    yield from _frames(Kind.PERTURBED_FRAME, example.clip)
    if flow is None:
        yield from _changes(example.delta.detach().cpu().numpy())
    else:
        yield from _changed_flows(frames, example.clip, as_fields(flow), as_fields(example.delta))


def _comparison(original: NDArray[np.floating], perturbed: NDArray[np.floating]) -> Iterator[File]:
    """A film of both clips, where this build of OpenCV can write one, and its frame that has changed most."""
    pages = side_by_side(original, perturbed)
    film = web_film(pages)
    if film is not None:
        yield File(Kind.COMPARISON, None, f"comparison{film.suffix}", film.content_type, film.content)
    still = encode_png(pages[most_changed(original, perturbed)])
    yield File(Kind.COMPARISON_STILL, None, "comparison.png", "image/png", still)


def _changed_flows(
    frames: Tensor, clip: Tensor, original: NDArray[np.floating], delta: NDArray[np.floating]
) -> Iterator[File]:
    """`adversarial-flows.npz` with `delta` and `flow`, (l-1, h, w, 2), pixels, their sum as Middlebury files, and the pictures.

    The perturbed flow is drawn on the scale of the original one, so that both can be compared by eye; the difference is
    often far smaller and has a scale of its own.
    """
    perturbed = original + delta
    yield _npz(Kind.ADVERSARIAL_FLOWS, "adversarial-flows.npz", delta=delta, flow=original)
    yield _flo(Kind.PERTURBED_FLO, "perturbed-flows-flo.zip", perturbed)
    yield from _flows(_PERTURBED, clip, perturbed, common_scale(original))
    yield from _flows(_DIFFERENCE, frames, delta, common_scale(delta))


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


#: The kinds of the pictures of one flow: magnitude, direction, arrows.
_ORIGINAL = (Kind.FLOW_MAGNITUDE, Kind.FLOW_DIRECTION, Kind.FLOW_ARROWS)
_PERTURBED = (Kind.PERTURBED_MAGNITUDE, Kind.PERTURBED_DIRECTION, Kind.PERTURBED_ARROWS)
_DIFFERENCE = (Kind.DIFFERENCE_MAGNITUDE, Kind.DIFFERENCE_DIRECTION, Kind.DIFFERENCE_ARROWS)


def _flows(
    kinds: tuple[Kind, Kind, Kind], frames: Tensor, fields: NDArray[np.floating], scale: float
) -> Iterator[File]:
    """Pictures of every flow, arrows on the frame that it begins at; `scale` pixels are as bright, full or long as can be."""
    magnitude, direction, arrows = kinds
    for number, (frame, field) in enumerate(zip(frames.detach().cpu().numpy(), fields, strict=False), 1):
        yield _png(magnitude, number, magnitude_picture(field, scale))
        yield _png(direction, number, direction_picture(field, scale))
        large = enlarged(frame_picture(frame), ARROWS_SIDE)
        yield _png(arrows, number, arrows_picture(large, enlarged(field, ARROWS_SIDE), scale, ARROWS_SPACING))


def _png(kind: Kind, number: int, picture: Picture) -> File:
    return File(kind, number, f"{kind.value}-{number:03d}.png", "image/png", encode_png(picture))


def _npz(kind: Kind, name: str, **arrays: NDArray[np.floating]) -> File:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return File(kind, None, name, "application/octet-stream", buffer.getvalue())


def _flo(kind: Kind, name: str, fields: NDArray[np.floating]) -> File:
    """All flows in one archive, `flow-001.flo` and so on: a file for each would be hundreds."""
    files = {f"flow-{number:03d}.flo": flo_bytes(field) for number, field in enumerate(fields, 1)}
    return File(kind, None, name, "application/zip", zip_of(files))
