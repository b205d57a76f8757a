"""What is done with a file in a process of its own. Arguments and results are plain data; refusals are the engine's errors."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

# Torch loads this where a network is first traced, which takes seconds: here it is loaded once, before processes are forked.
import torch._dynamo

from verification.engine.clip import Part, probe_video, read_clip
from verification.engine.clip.preview import draw_frames, read_frames, write_previews
from verification.engine.flow import DEFAULT_EXTRACTOR, build_extractor
from verification.engine.flow.pictures import (
    arrows_picture,
    common_scale,
    direction_picture,
    encode_png,
    magnitude_picture,
)
from verification.engine.network import ONNX, check_clip, load_classifier
from verification.engine.network.export import export_graph

_TOP = 5  # classes that are named for a clip


def inspect_video(path: str, strip: str, preview: str) -> dict[str, Any]:
    """`VideoInfo` as a dictionary, and with `previewed` whether `preview` could be written; `strip` is, if the video is one."""
    info = probe_video(path)
    previewed = write_previews(path, info, Path(strip), Path(preview))
    return asdict(info) | {"previewed": previewed}


def sample_clip(
    path: str, out: str, frames: int, size: tuple[int, int], sampling: str, part: Part, name: str
) -> dict[str, Any]:
    """What `read_clip` reads: its `sha256`, its `numbers`, and in the file `out` its frames, float32 without a header."""
    clip = read_clip(path, frames=frames, size=size, sampling=sampling, part=part, name=name)
    clip.frames.numpy().tofile(out)
    return {"sha256": clip.sha256, "numbers": clip.numbers}


def draw_sample(path: str, numbers: Sequence[int], width: int) -> str:
    """A JPEG in base64 of the frames with these numbers (from 0), each `width` pixels wide."""
    return b64encode(draw_frames(path, numbers, width)).decode()


def draw_flow(path: str, first: int, second: int, side: int) -> dict[str, Any]:
    """The optical flow from frame `first` to frame `second` (from 0), extracted on frames whose longer side has `side` pixels.

    `scale`, `median`: of its vectors' lengths, in those pixels; `height`, `width`; `pictures`: PNG files in base64, by what they
    show: `frame`, `arrows`, `direction`, `magnitude`.
    """
    one, other = read_frames(path, [first, second], side)
    clip = torch.from_numpy(np.stack([one, other])).permute(0, 3, 1, 2).float() / 255
    field = build_extractor(DEFAULT_EXTRACTOR).extract(clip)[0].permute(1, 2, 0).numpy()
    scale = common_scale(field)
    pictures = {
        "frame": one,
        "arrows": arrows_picture(one, field, scale),
        "direction": direction_picture(field, scale),
        "magnitude": magnitude_picture(field, scale),
    }
    return {
        "scale": scale,
        "median": float(np.median(np.hypot(field[..., 0], field[..., 1]))),
        "height": one.shape[0],
        "width": one.shape[1],
        "pictures": {name: b64encode(encode_png(picture)).decode() for name, picture in pictures.items()},
    }


def inspect_classifier(
    path: str, name: str, options: dict[str, Any], video: str | None = None, invent_labels: bool = False
) -> dict[str, Any]:
    """What `load_classifier` finds, as plain data; of an ONNX model also whether all of it can be bounded.

    With `video`: its `classes` by that video, the most probable first, as pairs of label and probability.
    """
    loaded = load_classifier(path, name=name, invent_labels=invent_labels, **options)
    wanted = loaded.input
    graph = export_graph(loaded.module, wanted.shape) if loaded.architecture == ONNX else None
    found = {
        "sha256": loaded.sha256,
        "architecture": loaded.architecture,
        "labels": list(loaded.labels),
        "frames": wanted.frames,
        "height": wanted.height,
        "width": wanted.width,
        "channels": str(wanted.channels),
        "sampling": wanted.sampling,
        "order": str(wanted.order),
        "range": str(wanted.range),
        "mean": wanted.mean,
        "deviation": wanted.deviation,
    }
    found["dropped"] = [] if graph is None else list(graph.dropped)
    if video is not None:
        clip = read_clip(video, frames=wanted.frames, size=(wanted.height, wanted.width), sampling=wanted.sampling)
        check_clip(loaded, path, clip.frames)
        with torch.no_grad():
            frames = clip.frames.unsqueeze(0)
            # A softmax at the end is not part of the graph: its logits are the ones to be made probabilities.
            logits = loaded.module(frames) if graph is None else graph(frames.double())
            shares = logits[0].double().softmax(0)
        order = shares.argsort(descending=True)[:_TOP].tolist()
        found["classes"] = [(loaded.labels[i], float(shares[i])) for i in order]
    return found
