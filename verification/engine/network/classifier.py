"""The classifier: a trained network together with what it expects of a clip (engine contract, section 1)."""

import json
import struct
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialise
from torch import Tensor, nn

from verification.engine.errors import ClassifierError
from verification.engine.network.architectures import ARCHITECTURES, Architecture
from verification.engine.network.input import InputSpecification, Prepared
from verification.engine.network.inspect import ClassifierFile, check_labels, inspect_file
from verification.engine.network.onnx_import import Layout, OnnxNetwork, check_reference, layouts

#: What stands for the architecture of a classifier that an ONNX file describes whole.
ONNX = "onnx"
#: And of one that was trusted to be a `torch.export` program.
PROGRAM = "pt2"

#: Logits that differ by less than this over very different clips, relative to the largest, do not depend on them.
_CONSTANT = 1e-7


@dataclass(frozen=True)
class Classifier:
    """`module`: eval mode, float32, maps (1, l, 3, h, w) RGB in [0, 1] to logits (1, C), C = len(labels).

    All that `input` says of values and axes is part of the module. `name`, `sha256`: of the file it came from.
    `architecture`: one of `ARCHITECTURES`, `ONNX` or `PROGRAM`.
    """

    name: str
    sha256: str
    architecture: str
    labels: tuple[str, ...]
    input: InputSpecification
    module: nn.Module


def load_classifier(
    path: str | Path,
    *,
    architecture: str | None = None,
    labels: Sequence[str] | None = None,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    channels: str | None = None,
    sampling: str | None = None,
    order: str | None = None,
    value_range: str | None = None,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
    name: str | None = None,
    invent_labels: bool = False,
    trust: bool = False,
) -> Classifier:
    """Read an ONNX file, or a safetensors file of a named architecture. What is given replaces what the file says.

    The file's metadata are texts: `architecture`, `config` (JSON, the architecture's parameters), `labels` (JSON
    list), `frames`, `height`, `width`, `channels`, `sampling`, `order`, `range`, and optionally `mean` and `std` (JSON
    lists of three numbers, one a channel in the classifier's order). `size` is (height, width) in pixels. What neither
    says of an ONNX file is read from the shape of its input.

    With `trust`, and only then, a `.pt2` file is read as well: that may run code which its author put into it.
    With `invent_labels`, classes that nothing names are called by their numbers, from 0.

    Raises ClassifierError for anything that is not a working classifier; the message says what is wrong.
    """
    file = inspect_file(path, trust)
    given = {"channels": channels, "sampling": sampling, "order": order, "range": value_range}
    given_numbers = {"mean": mean, "std": deviation}
    if file.axes is not None:
        layout = _layout(file, order)
        wanted = _input(file, frames, size, given, given_numbers, layout)
        _check_fixed(file.name, layout, wanted)
        network = _described_by_itself(file, wanted)
        if labels is None and invent_labels:
            labels = _invented(file, _outputs(network, wanted))
        family_name, named = PROGRAM if file.model is None else ONNX, _labels(file, None, labels)
    else:
        family = _architecture(file, architecture)
        wanted = _input(file, frames, size, given, given_numbers)
        if labels is None and invent_labels and family.outputs in file.tensors:
            labels = _invented(file, file.tensors[family.outputs].shape[0])
        family_name, named = family.name, _labels(file, family.outputs, labels)
        network = _with_weights(file, family, wanted, len(named))
    network.eval().requires_grad_(False)
    module = network if wanted.plain else Prepared(network, wanted).eval().requires_grad_(False)
    clips = _clips(wanted)
    if file.model is not None:
        inputs = [module.prepare(clip) for clip in clips] if isinstance(module, Prepared) else clips
        check_reference(Path(path).read_bytes(), network, inputs)
    _check_behaviour(file.name, module, clips, len(named))
    return Classifier(name or file.name, file.sha256, family_name, named, wanted, module)


def check_clip(classifier: Classifier, path: str | Path, frames: Tensor) -> None:
    """Check a classifier, read from `path`, on a real clip (l, 3, h, w) as well, once there is one.

    An ONNX model is compared with onnxruntime. Raises ClassifierError with the difference, and for logits that are not finite.
    """
    module, clip = classifier.module, frames.unsqueeze(0)
    with torch.no_grad():
        if not bool(torch.isfinite(module(clip)).all()):
            raise ClassifierError(
                f"{classifier.name} gives values that are not finite numbers for this clip; its weights are too large"
            )
    if classifier.architecture == ONNX:
        network, taken = (module.network, module.prepare(clip)) if isinstance(module, Prepared) else (module, clip)
        check_reference(Path(path).read_bytes(), network, [taken])


def _with_weights(file: ClassifierFile, family: Architecture, wanted: InputSpecification, classes: int) -> nn.Module:
    """The network of a named architecture with the weights of the file."""
    config = file.decoded("config")
    if not isinstance(config, dict | None):
        raise ClassifierError(f"{file.name}: the metadata 'config' must be a JSON object of parameters")
    # On the meta device an absurd configuration costs no memory; the file's own tensors then take the places.
    with torch.device("meta"):
        network = family.build(
            config or {}, frames=wanted.frames, height=wanted.height, width=wanted.width, classes=classes
        )
    _check_tensors(family.name, network, file)
    network.load_state_dict(dict(file.tensors), assign=True)
    return network


def save_classifier(
    path: str | Path,
    network: nn.Module,
    *,
    architecture: str,
    config: Mapping[str, object],
    labels: Sequence[str],
    input: InputSpecification,
) -> None:
    """Write a file that `load_classifier` reads without options; the file appears whole or not at all."""
    path = Path(path)
    metadata = {"architecture": architecture, "config": json.dumps(dict(config), sort_keys=True)}
    metadata |= input_metadata(labels, input)
    tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    content = _with_sorted_header(serialise(tensors, metadata))
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        draft = Path(directory) / path.name
        draft.write_bytes(content)
        draft.replace(path)


def input_metadata(labels: Sequence[str], input: InputSpecification) -> dict[str, str]:
    """Classes and input as `load_classifier` reads them from the metadata of a file."""
    metadata = {
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "frames": str(input.frames),
        "height": str(input.height),
        "width": str(input.width),
        "channels": str(input.channels),
        "sampling": input.sampling,
    }
    defaults = {field.name: field.default for field in fields(InputSpecification)}
    metadata |= {key: str(getattr(input, key)) for key in ("order", "range") if getattr(input, key) != defaults[key]}
    numbers = {"mean": input.mean, "std": input.deviation}
    return metadata | {key: json.dumps(list(v)) for key, v in numbers.items() if v is not None}


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


def _described_by_itself(file: ClassifierFile, wanted: InputSpecification) -> nn.Module:
    """The network of a file that holds all of it."""
    if file.model is not None:
        return OnnxNetwork(file.model, wanted.network_shape)
    assert file.program is not None
    return file.program


def _layout(file: ClassifierFile, order: str | None) -> Layout:
    """How the axes of a network's input are to be read: as is said, or as their sizes make likely."""
    assert file.axes is not None
    possible = layouts(file.axes)
    wanted = order or file.metadata.get("order")
    fitting = [layout for layout in possible if wanted is None or layout.order == wanted]
    if not fitting:
        known = ", ".join(layout.order for layout in possible)
        raise ClassifierError(f"{file.name} has an input whose axes cannot be {wanted!r}; they can be {known}")
    return fitting[0]


def _check_fixed(name: str, layout: Layout, wanted: InputSpecification) -> None:
    """Refuse clips of another size than the one for which an ONNX model was exported."""
    for what, fixed, said in (
        ("frames", layout.frames, wanted.frames),
        ("pixels of height", layout.height, wanted.height),
        ("pixels of width", layout.width, wanted.width),
    ):
        if fixed is not None and fixed != said:
            raise ClassifierError(
                f"{name} was exported for {fixed} {what}, not {said}: use {fixed}, or export it again with dynamic axes"
            )


def _input(
    file: ClassifierFile,
    frames: int | None,
    size: tuple[int, int] | None,
    given: Mapping[str, str | None],
    given_numbers: Mapping[str, Sequence[float] | None],
    layout: Layout | None = None,
) -> InputSpecification:
    length = frames if frames is not None else file.integer("frames")
    height, width = size if size is not None else (file.integer("height"), file.integer("width"))
    if layout is not None:
        length = layout.frames if length is None else length
        height, width = layout.height if height is None else height, layout.width if width is None else width
    if length is None:
        raise ClassifierError(f"{file.name} does not say how many frames a clip has; give the number of frames")
    if height is None or width is None:
        raise ClassifierError(f"{file.name} does not say the size of its frames; give it as HEIGHTxWIDTH")
    texts: dict[str, Any] = {key: text or file.metadata.get(key) for key, text in given.items()}
    if layout is not None:
        texts["order"] = layout.order
    numbers = {key: _triple(file, key) if values is None else tuple(values) for key, values in given_numbers.items()}
    chosen = {key: text for key, text in texts.items() if text is not None}
    return InputSpecification(length, height, width, mean=numbers["mean"], deviation=numbers["std"], **chosen)


def _labels(file: ClassifierFile, output: str | None, given: Sequence[str] | None) -> tuple[str, ...]:
    """`output`: the name of the tensor that has one entry for each class."""
    stored = list(given) if given is not None else file.decoded("labels")
    if stored is None:
        raise ClassifierError(f"{file.name} does not name its classes; give a file of labels, one a line")
    labels = check_labels(stored)
    outputs = None if output is None else file.tensors.get(output)
    if outputs is not None and outputs.ndim >= 1 and outputs.shape[0] != len(labels):
        raise ClassifierError(
            f"there are {len(labels)} labels, but the classifier has {outputs.shape[0]} outputs; "
            "give one label for each output"
        )
    return labels


def _invented(file: ClassifierFile, count: int) -> list[str] | None:
    """Names for `count` classes, if the file has none."""
    return None if file.decoded("labels") is not None else [f"class {number}" for number in range(count)]


def _outputs(network: nn.Module, wanted: InputSpecification) -> int:
    """How many numbers an ONNX model gives for a clip."""
    with torch.no_grad():
        values = network.eval()(torch.zeros(wanted.network_shape))
    return int(values.shape[-1]) if values.dim() else 1


def _triple(file: ClassifierFile, key: str) -> tuple[float, ...] | None:
    value = file.decoded(key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 3 or not all(type(v) in {int, float} for v in value):
        raise ClassifierError(f"{file.name}: the metadata {key!r} must be a list of three numbers")
    if not bool(torch.isfinite(torch.tensor(value, dtype=torch.float64)).all()):
        raise ClassifierError(f"{file.name}: the metadata {key!r} holds a number that is not finite")
    if key == "std" and min(map(abs, value)) < 1e-6:
        raise ClassifierError(f"{file.name}: the metadata 'std' must not hold a zero")
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


def _clips(wanted: InputSpecification) -> list[Tensor]:
    """Clips (1, l, 3, h, w) that have little in common."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(wanted.shape, generator=generator)
    ramp = torch.linspace(0, 1, wanted.width).expand(wanted.shape)
    still = noise[:, :1].expand(wanted.shape)
    return [clip.contiguous() for clip in (noise, ramp, ramp.flip(1, 4) ** 2, still, 1 - noise)]


def _check_behaviour(name: str, network: nn.Module, clips: list[Tensor], classes: int) -> None:
    """Refuse a network whose logits have the wrong shape, are not finite, or the same for very different clips."""
    with torch.no_grad():
        rows = [network(clip) for clip in clips]
    shape = tuple(rows[0].shape)
    if len(shape) == 2 and shape[0] == 1 and shape[1] != classes:
        raise ClassifierError(
            f"there are {classes} labels, but the classifier has {shape[1]} outputs; give one label for each output"
        )
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
