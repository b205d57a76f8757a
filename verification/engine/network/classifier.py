"""The classifier: a trained network together with what it expects of a clip (engine contract, section 1)."""

import json
import struct
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialise
from torch import Tensor, nn

from verification.engine.clip import build_sampling
from verification.engine.errors import ClassifierError, ClipError
from verification.engine.network.architectures import ARCHITECTURES, Architecture
from verification.engine.network.inspect import ClassifierFile, check_labels, inspect_file

#: Limits against absurd input, far above what a classifier of clips takes.
MIN_FRAMES, MAX_FRAMES = 2, 512
MIN_SIDE, MAX_SIDE = 8, 1024

#: Logits that differ by less than this over very different clips, relative to the largest, do not depend on them.
_CONSTANT = 1e-7


class Channels(StrEnum):
    """The order of the colour channels in which the network was trained."""

    RGB = "rgb"
    BGR = "bgr"


@dataclass(frozen=True)
class InputSpecification:
    """The clip that a classifier wants: `frames` sampled by the rule `sampling`, resized to `height` x `width` pixels."""

    frames: int
    height: int
    width: int
    channels: Channels = Channels.RGB
    sampling: str = "uniform"

    def __post_init__(self) -> None:
        if not MIN_FRAMES <= self.frames <= MAX_FRAMES:
            raise ClassifierError(f"a clip has {MIN_FRAMES} to {MAX_FRAMES} frames, not {self.frames}")
        if not all(MIN_SIDE <= side <= MAX_SIDE for side in (self.height, self.width)):
            raise ClassifierError(
                f"frames are {MIN_SIDE} to {MAX_SIDE} pixels high and wide, not {self.height}x{self.width}"
            )
        if self.channels not in set(Channels):
            raise ClassifierError(f"there is no channel order {str(self.channels)!r}; choose rgb or bgr")
        object.__setattr__(self, "channels", Channels(self.channels))
        try:
            build_sampling(self.sampling)
        except ClipError as error:
            raise ClassifierError(str(error)) from None

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(1, l, 3, h, w)."""
        return 1, self.frames, 3, self.height, self.width


@dataclass(frozen=True)
class Classifier:
    """`module`: eval mode, float32, maps (1, l, 3, h, w) RGB in [0, 1] to logits (1, C), C = len(labels).

    Channel order, mean and standard deviation are part of the module. `name`, `sha256`: of the file it came from.
    """

    name: str
    sha256: str
    architecture: str
    labels: tuple[str, ...]
    input: InputSpecification
    module: nn.Module


class Prepared(nn.Module):
    """A network behind the preparation it was trained with: channel order, then (x - mean) / deviation per channel."""

    def __init__(
        self,
        network: nn.Module,
        channels: Channels,
        mean: Sequence[float] | None,
        deviation: Sequence[float] | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.flip = channels is Channels.BGR
        self.normalise = mean is not None or deviation is not None
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(mean or (0.0, 0.0, 0.0)).view(1, 1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation or (1.0, 1.0, 1.0)).view(1, 1, 3, 1, 1))

    def forward(self, clips: Tensor) -> Tensor:
        if self.flip:
            clips = clips.flip(2)
        if self.normalise:
            clips = (clips - self.mean) / self.deviation
        logits: Tensor = self.network(clips)
        return logits


def load_classifier(
    path: str | Path,
    *,
    architecture: str | None = None,
    labels: Sequence[str] | None = None,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    channels: str | None = None,
    sampling: str | None = None,
    name: str | None = None,
) -> Classifier:
    """Read a safetensors file of a named architecture. What is given takes the place of what the file says.

    The file's metadata are texts: `architecture`, `config` (JSON, the architecture's parameters), `labels` (JSON
    list), `frames`, `height`, `width`, `channels`, `sampling`, and optionally `mean` and `std` (JSON lists of three
    numbers, one a channel in the classifier's order). `size` is (height, width) in pixels.

    Raises ClassifierError for anything that is not a working classifier; the message says what is wrong.
    """
    file = inspect_file(path)
    family = _architecture(file, architecture)
    wanted = _input(file, frames, size, channels, sampling)
    named = _labels(file, family, labels)
    config = file.decoded("config")
    if not isinstance(config, dict | None):
        raise ClassifierError(f"{file.name}: the metadata 'config' must be a JSON object of parameters")
    # On the meta device an absurd configuration costs no memory; the file's own tensors then take the places.
    with torch.device("meta"):
        network = family.build(
            config or {}, frames=wanted.frames, height=wanted.height, width=wanted.width, classes=len(named)
        )
    _check_tensors(family.name, network, file)
    network.load_state_dict(dict(file.tensors), assign=True)
    mean, deviation = _triple(file, "mean"), _triple(file, "std")
    if deviation is not None and min(map(abs, deviation)) < 1e-6:
        raise ClassifierError(f"{file.name}: the metadata 'std' must not hold a zero")
    if wanted.channels is Channels.BGR or mean is not None or deviation is not None:
        network = Prepared(network, wanted.channels, mean, deviation)
    network.eval().requires_grad_(False)
    _check_behaviour(file.name, network, wanted, len(named))
    return Classifier(name or file.name, file.sha256, family.name, named, wanted, network)


def save_classifier(
    path: str | Path,
    network: nn.Module,
    *,
    architecture: str,
    config: Mapping[str, object],
    labels: Sequence[str],
    input: InputSpecification,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
) -> None:
    """Write a file that `load_classifier` reads without options; the file appears whole or not at all."""
    path = Path(path)
    metadata = {
        "architecture": architecture,
        "config": json.dumps(dict(config), sort_keys=True),
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "frames": str(input.frames),
        "height": str(input.height),
        "width": str(input.width),
        "channels": str(input.channels),
        "sampling": input.sampling,
    }
    metadata |= {key: json.dumps(list(v)) for key, v in (("mean", mean), ("std", deviation)) if v is not None}
    tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    content = _with_sorted_header(serialise(tensors, metadata))
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        draft = Path(directory) / path.name
        draft.write_bytes(content)
        draft.replace(path)


def _with_sorted_header(content: bytes) -> bytes:
    """The same safetensors content with its header in a fixed order: the same classifier has the same hash."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def _architecture(file: ClassifierFile, given: str | None) -> Architecture:
    name = given or file.metadata.get("architecture")
    known = ", ".join(ARCHITECTURES)
    if name is None:
        raise ClassifierError(f"{file.name} does not say its architecture; name one of {known}")
    if name not in ARCHITECTURES:
        raise ClassifierError(f"there is no architecture {name!r}; known are {known}")
    return ARCHITECTURES[name]


def _input(
    file: ClassifierFile,
    frames: int | None,
    size: tuple[int, int] | None,
    channels: str | None,
    sampling: str | None,
) -> InputSpecification:
    length = frames if frames is not None else file.integer("frames")
    height, width = size if size is not None else (file.integer("height"), file.integer("width"))
    if length is None:
        raise ClassifierError(f"{file.name} does not say how many frames a clip has; give the number of frames")
    if height is None or width is None:
        raise ClassifierError(f"{file.name} does not say the size of its frames; give it as HEIGHTxWIDTH")
    order: Any = channels or file.metadata.get("channels", "rgb")
    return InputSpecification(length, height, width, order, sampling or file.metadata.get("sampling", "uniform"))


def _labels(file: ClassifierFile, family: Architecture, given: Sequence[str] | None) -> tuple[str, ...]:
    stored = list(given) if given is not None else file.decoded("labels")
    if stored is None:
        raise ClassifierError(f"{file.name} does not name its classes; give a file of labels, one a line")
    labels = check_labels(stored)
    outputs = file.tensors.get(family.outputs)
    if outputs is not None and outputs.ndim >= 1 and outputs.shape[0] != len(labels):
        raise ClassifierError(
            f"there are {len(labels)} labels, but the classifier has {outputs.shape[0]} outputs; "
            "give one label for each output"
        )
    return labels


def _triple(file: ClassifierFile, key: str) -> tuple[float, ...] | None:
    value = file.decoded(key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 3 or not all(type(v) in {int, float} for v in value):
        raise ClassifierError(f"{file.name}: the metadata {key!r} must be a list of three numbers")
    if not bool(torch.isfinite(torch.tensor(value, dtype=torch.float64)).all()):
        raise ClassifierError(f"{file.name}: the metadata {key!r} holds a number that is not finite")
    return tuple(float(number) for number in value)


def _check_tensors(architecture: str, network: nn.Module, file: ClassifierFile) -> None:
    """Refuse weights that are missing, too many or of another shape than `network` needs."""
    needed = network.state_dict()
    missing = [name for name in needed if name not in file.tensors]
    surplus = [name for name in file.tensors if name not in needed]
    if missing:
        raise ClassifierError(
            f"{file.name} lacks the weight {_some(missing)} of the architecture {architecture}; "
            "check the name of the architecture and its parameters"
        )
    if surplus:
        raise ClassifierError(
            f"{file.name} holds the weight {_some(surplus)}, which the architecture {architecture} does not "
            "have; check the name of the architecture and its parameters"
        )
    for name, tensor in needed.items():
        got = file.tensors[name].shape
        if got != tensor.shape:
            raise ClassifierError(
                f"the weight {name} has shape {list(got)}, but the architecture {architecture} for these clips "
                f"needs {list(tensor.shape)}; check its parameters, the number of frames and their size"
            )


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"


def _check_behaviour(name: str, network: nn.Module, wanted: InputSpecification, classes: int) -> None:
    """Refuse a network whose logits have the wrong shape, are not finite, or the same for very different clips."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(wanted.shape, generator=generator)
    ramp = torch.linspace(0, 1, wanted.width).expand(wanted.shape)
    still = noise[:, :1].expand(wanted.shape)
    with torch.no_grad():
        rows = [network(clip.contiguous()) for clip in (noise, ramp, ramp.flip(1, 4) ** 2, still, 1 - noise)]
    if any(row.shape != (1, classes) for row in rows):
        raise ClassifierError(
            f"{name} gives values of shape {list(rows[0].shape)} for a clip; [1, {classes}] is needed"
        )
    logits = torch.cat(rows)
    if not bool(torch.isfinite(logits).all()):
        raise ClassifierError(f"{name} gives values that are not finite numbers; its weights are too large")
    spread = (logits.amax(0) - logits.amin(0)).max()
    if float(spread) <= _CONSTANT * max(float(logits.abs().max()), 1e-30):
        raise ClassifierError(
            f"the output of {name} does not depend on its input: every clip would get the same class; train it again"
        )
