"""How exact and how fast the flow extractors are: the figures of docs/flow.md.

    python -m benchmarks.flow [--size 128] [--frames 4] [--extractor dis:finest_scale=1 ...]

Real footage (the demo's, fetched if it is not there) is moved by a motion that is known at every pixel: the second frame is a
part of a picture, the first the same part taken where the motion says. `demo` are the demo's own shots, of stills. End-point
error: the length of the difference between the flow that is found and the true one, in pixels, as mean / median over the
pixels that stay in the picture, of all pairs together. `realised`: a change of the flow is imposed on a clip of the footage as it
is, and the flow extracted again; the error relative to the change, as the ratio of medians that reports give. Times are of one
thread.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from verification.demo.camera import Movement, Shot, film
from verification.demo.footage import fetch_footage
from verification.demo.source import read_source
from verification.engine.flow import EXTRACTORS, Extractor, build_extractor
from verification.engine.flow.realisation import realisation_error
from verification.engine.perturbation import impose

Field = NDArray[np.float32]
Picture = NDArray[np.uint8]

#: Clips are sampled from pictures that are finer, twice as fine as they were decoded, so that interpolation hardly shows.
_FINER = 4.0
_DECODED = 2.0
#: And wider, so that any motion finds room.
_MARGIN = 1.25
_TIMED = (64, 128, 224)
_OBJECT = 0.4  # side of the moving square, in sides of the frame


@dataclass(frozen=True)
class Pair:
    """Two frames (2, 3, h, w), values in [0, 1], and the true flow (h, w, 2) between them, pixels."""

    frames: torch.Tensor
    truth: Field


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128, help="side of the frames, pixels")
    parser.add_argument("--frames", type=int, default=4, help="of each of the three videos")
    parser.add_argument("--footage", type=Path, help="where the videos are kept (default: fetched for this run)")
    parser.add_argument("--extractor", nargs="+", default=list(EXTRACTORS), help="as --flow takes them")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    extractors = [build_extractor(text) for text in options.extractor]
    with tempfile.TemporaryDirectory(prefix="flowverify-benchmark-") as scratch:
        footage = fetch_footage(options.footage or Path(scratch))
        pictures = list(_pictures(footage, options.frames, options.size))
        demo = list(_demo_pairs(footage, options.frames))
        clips = list(_clips(footage, options.size))
    rows = [("motion", *(extractor.spelled for extractor in extractors))]
    for name, make in MOTIONS.items():
        pairs = [make(picture, options.size) for picture in pictures]
        rows.append((name, *(_errors(extractor, pairs) for extractor in extractors)))
    rows.append(("demo: pan, tilt and zoom, 64x64", *(_errors(extractor, demo) for extractor in extractors)))
    rows += [
        (f"realised: {name}", *(_realised(extractor, clips, cells, rms) for extractor in extractors))
        for name, (cells, rms) in CHANGES.items()
    ]
    rows += [
        (f"ms a pair, {size}x{size}", *(_milliseconds(extractor, pictures[0], size) for extractor in extractors))
        for size in _TIMED
    ]
    print(
        f"\n{platform.platform()}, Python {platform.python_version()}, OpenCV {cv2.__version__}, NumPy {np.__version__}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {len(pictures)} pairs of {options.size}x{options.size} a motion"
    )
    for row in rows:
        print("| " + " | ".join(row) + " |")


def _pictures(footage: dict[str, Path], count: int, size: int) -> Iterator[Picture]:
    """Frames evenly from each video, scaled so that a motion finds room around a clip of `size`."""
    for path in footage.values():
        frames = read_source(path, short_side=round(size * _DECODED * _MARGIN)).frames
        for number in np.linspace(0, len(frames) - 1, count).astype(int):
            finer = _FINER / _DECODED
            yield np.asarray(
                cv2.resize(frames[number], None, fx=finer, fy=finer, interpolation=cv2.INTER_CUBIC), np.uint8
            )


def _sampled(picture: Picture, places: Field) -> Field:
    """(h, w, 3): a picture at `places` (h, w, 2), pixels of the clip from its middle; softened, because it is finer."""
    soft = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), _FINER / 2)
    middle = (np.array(picture.shape[1::-1]) - 1) / 2
    x, y = np.moveaxis((places * _FINER + middle).astype(np.float32), -1, 0)
    return np.asarray(cv2.remap(soft, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32)


def _grid(size: int) -> Field:
    """(size, size, 2): x and y from the middle."""
    return np.moveaxis(np.mgrid[0:size, 0:size][::-1], 0, -1).astype(np.float32) - (size - 1) / 2


def _pair(first: Field, second: Field, truth: Field) -> Pair:
    frames = np.clip(np.stack([first, second]) / 255, 0, 1).transpose(0, 3, 1, 2)
    return Pair(torch.from_numpy(np.ascontiguousarray(frames)), truth)


def _moved(
    motion: Callable[[Field], Field], brighter: float = 0.0, noise: float = 0.0
) -> Callable[[Picture, int], Pair]:
    """Pairs under a flow given at places from the middle; the second frame `brighter`, both noisy, in grey levels."""

    def make(picture: Picture, size: int) -> Pair:
        grid = _grid(size)
        truth = np.asarray(motion(grid), np.float32)
        rng = np.random.default_rng(0)
        first, second = (
            _sampled(picture, places) + rng.normal(0, noise, (size, size, 3)).astype(np.float32)
            for places in (grid + truth, grid)
        )
        return _pair(first, second + brighter, truth)

    return make


def _shift(x: float, y: float) -> Callable[[Field], Field]:
    return lambda grid: np.broadcast_to(np.array([x, y], np.float32), grid.shape)


def _linear(matrix: list[list[float]]) -> Callable[[Field], Field]:
    change = (np.array(matrix) - np.eye(2)).astype(np.float32)
    return lambda grid: grid @ change.T


def _rotation(degrees: float) -> Callable[[Field], Field]:
    angle = np.radians(degrees)
    return _linear([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _zoom(factor: float) -> Callable[[Field], Field]:
    return _linear([[factor, 0], [0, factor]])


def _waves(length: float) -> Callable[[Field], Field]:
    """A smooth field with vectors of this root mean square length, and waves of half the side of the frame."""
    phase = np.array([0.3, 1.1], np.float32)
    return lambda grid: np.float32(length) * np.sin(grid[..., ::-1] * np.float32(4 * np.pi / len(grid)) + phase)


def _object(length: float) -> Callable[[Picture, int], Pair]:
    """A square of the picture turned upside down moves to the right over the picture, which stands still."""

    def make(picture: Picture, size: int) -> Pair:
        grid = _grid(size)
        behind, front = _sampled(picture, grid), picture[::-1]
        offset = np.array([length, 0], np.float32)
        inside = [(np.abs(grid - step) <= size * _OBJECT / 2).all(-1)[..., None] for step in (0 * offset, offset)]
        first = np.where(inside[0], _sampled(front, grid), behind)
        second = np.where(inside[1], _sampled(front, grid - offset), behind)
        return _pair(first, second, np.where(inside[0], offset, 0 * offset))

    return make


MOTIONS: dict[str, Callable[[Picture, int], Pair]] = {
    "none": _moved(_shift(0, 0)),
    "shift 0.05 px": _moved(_shift(0.04, -0.03)),
    "shift 0.5 px": _moved(_shift(0.4, -0.3)),
    "shift 2 px": _moved(_shift(1.6, -1.2)),
    "shift 6 px": _moved(_shift(4.8, -3.6)),
    "shift 12 px": _moved(_shift(9.6, -7.2)),
    "rotation 1°": _moved(_rotation(1)),
    "rotation 6°": _moved(_rotation(6)),
    "zoom 2 %": _moved(_zoom(1.02)),
    "zoom 10 %": _moved(_zoom(1.1)),
    "smooth warp, rms 1 px": _moved(_waves(1.0)),
    "smooth warp, rms 3 px": _moved(_waves(3.0)),
    "object moves 3 px": _object(3.0),
    "shift 2 px, noise of 4 grey levels": _moved(_shift(1.6, -1.2), noise=4),
    "shift 2 px, second frame 10 grey levels brighter": _moved(_shift(1.6, -1.2), brighter=10),
}


def _demo_pairs(footage: dict[str, Path], count: int, size: int = 64, speed: float = 2.0) -> Iterator[Pair]:
    """The demo's camera over stills: its movement is all the motion that there is."""
    grid = _grid(size)
    directions = {Movement.PAN_RIGHT: (-speed, 0.0), Movement.TILT_DOWN: (0.0, -speed)}
    truths = {movement: _shift(*step)(grid) for movement, step in directions.items()}
    truths[Movement.ZOOM_IN] = _zoom(float(np.exp(speed / (size / 2))))(grid)
    for path in footage.values():
        frames = read_source(path, short_side=144).frames
        for number in np.linspace(0, len(frames) - 1, count).astype(int):
            for movement, truth in truths.items():
                shot = Shot(movement, first=int(number), step=0, window=84.0, speed=speed, softness=1.0)
                first, second = film(frames, shot, length=2, size=size).astype(np.float32)
                yield _pair(first, second, truth)


def _errors(extractor: Extractor, pairs: list[Pair]) -> str:
    errors = []
    for pair in pairs:
        found = extractor.extract(pair.frames)[0].permute(1, 2, 0).numpy()
        target = np.abs(_grid(len(found)) + pair.truth).max(-1)
        errors.append(np.linalg.norm(found - pair.truth, axis=-1)[target <= (len(found) - 1) / 2])
    values = np.concatenate(errors)
    return f"{values.mean():.3f} / {np.median(values):.3f}"


def _clips(footage: dict[str, Path], size: int, length: int = 8) -> Iterator[torch.Tensor]:
    """(l, 3, h, w), values in [0, 1]: frames in a row from the middle of each video, as they were filmed."""
    for path in footage.values():
        frames = read_source(path, short_side=size).frames
        first, left = (len(frames) - length) // 2, (frames.shape[2] - size) // 2
        clip = frames[first : first + length, :size, left : left + size].astype(np.float32) / 255
        yield torch.from_numpy(np.ascontiguousarray(clip.transpose(0, 3, 1, 2)))


#: How many numbers a side a change of the flow is interpolated between, and the root mean square of its components, pixels.
CHANGES = {
    "one vector a frame, 0.5 px": (1, 0.5),
    "4x4 vectors a frame, 0.5 px": (4, 0.5),
    "4x4 vectors a frame, 0.02 px": (4, 0.02),
    "4x4 vectors a frame, 0.002 px": (4, 0.002),
}


def _realised(extractor: Extractor, clips: list[torch.Tensor], cells: int, rms: float) -> str:
    """The median over the clips."""
    found = []
    for number, clip in enumerate(clips):
        generator = torch.Generator().manual_seed(number)
        coarse = torch.randn((len(clip) - 1, 2, cells, cells), generator=generator)
        delta = interpolate(coarse, size=clip.shape[2:], mode="bilinear", align_corners=True)
        delta *= rms / float(delta.square().mean().sqrt())
        realised = extractor.extract(impose(clip, delta))
        found.append(realisation_error(extractor.extract(clip), delta, realised)[1])
    return f"{np.median(found):.2f}"


def _milliseconds(extractor: Extractor, picture: Picture, size: int, times: int = 7) -> str:
    """The shortest time of one pair: other work on the machine only adds to it."""
    frames = MOTIONS["shift 2 px"](picture, size).frames
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        extractor.extract(frames)
        taken.append(time.perf_counter() - start)
    return f"{1000 * min(taken):.1f}"


if __name__ == "__main__":
    main()
