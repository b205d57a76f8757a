"""An ONNX file as plain data: tensors, texts and nodes, checked before anything is computed. Nothing in it is executed."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper
from torch import Tensor

from verification.engine.errors import ClassifierError, UnsupportedOperationError

#: Versions of the standard's operators that are read.
OLDEST, NEWEST = 9, 21
#: A protocol buffer cannot be larger.
MAX_BYTES = 2**31
_MAX_NODES = 20_000
_STANDARD = ("", "ai.onnx")
_CONTROL_FLOW = ("Loop", "Scan", "SequenceMap")
_TYPES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.BOOL: torch.bool,
}


@dataclass(frozen=True)
class OnnxNode:
    """One node. Names of inputs that are left out are empty.

    Attributes are numbers, texts, tensors, lists of numbers or texts, or `OnnxBranch`es.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def described(self) -> str:
        return f"{self.operator} ({self.name})" if self.name else self.operator


@dataclass(frozen=True)
class OnnxBranch:
    """A graph inside a node, one of the branches of an If."""

    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Tensor]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class OnnxModel:
    """A model with one input and one output; nodes in the order in which they can be computed.

    `axes`: the input's, None where the file leaves it open.
    """

    version: int
    input: str
    axes: tuple[int | None, ...]
    output: str
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def parse_model(content: bytes) -> OnnxModel:
    """Read the bytes of an ONNX file.

    Raises ClassifierError where they are none, damaged, or not one function of one clip; UnsupportedOperationError for what this
    reader refuses by name: other operator sets, functions, loops, weights in other files.
    """
    if len(content) >= MAX_BYTES:
        raise ClassifierError("the ONNX file is larger than 2 GB; weights in files beside it are not read either")
    try:
        proto = ModelProto.FromString(content)
    except DecodeError:
        raise ClassifierError(
            "this is not an ONNX file, or it is truncated; export the model and copy it again"
        ) from None
    if not proto.graph.node:
        raise ClassifierError("the ONNX file holds no nodes; export the model again")
    version = _version(proto)
    _check_model(proto)
    constants = _constants(proto.graph)
    feeds = [value for value in proto.graph.input if value.name not in constants]
    if len(feeds) != 1:
        names = ", ".join(value.name for value in feeds) or "none"
        raise ClassifierError(f"the model has {len(feeds)} inputs ({names}); it needs one, the clip")
    if len(proto.graph.output) != 1:
        names = ", ".join(value.name for value in proto.graph.output) or "none"
        raise ClassifierError(
            f"the model has {len(proto.graph.output)} outputs ({names}); it needs one, the logits of a clip"
        )
    nodes = tuple(_node(node) for node in proto.graph.node)
    _check_order(nodes, {feeds[0].name, *constants}, proto.graph.output[0].name)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    return OnnxModel(version, feeds[0].name, _axes(feeds[0]), proto.graph.output[0].name, nodes, constants, metadata)


def is_onnx(head: bytes) -> bool:
    """Whether a file that begins so may be ONNX: its first field is the version of the format."""
    return len(head) >= 2 and head[0] == 0x08 and 0 < head[1] < 64


def _version(proto: ModelProto) -> int:
    version = next((entry.version for entry in proto.opset_import if entry.domain in _STANDARD), None)
    if version is None:
        raise ClassifierError(
            "the ONNX file does not say which version of the operators it uses; export the model again"
        )
    if not OLDEST <= version <= NEWEST:
        raise UnsupportedOperationError(
            f"the model uses version {version} of the ONNX operators; versions {OLDEST} to {NEWEST} are read: export it with "
            f"opset_version={min(max(version, OLDEST), NEWEST)}"
        )
    return version


def _check_model(proto: ModelProto) -> None:
    if proto.functions:
        raise UnsupportedOperationError(
            f"the model defines the function {proto.functions[0].name}; export it with standard operators only"
        )
    nodes = list(_all_nodes(proto.graph))
    if len(nodes) > _MAX_NODES:
        raise ClassifierError(f"the model has {len(nodes)} nodes; at most {_MAX_NODES} are read")
    for node in nodes:
        if node.domain not in _STANDARD:
            raise UnsupportedOperationError(
                f"the model uses {node.op_type} of the operator set {node.domain}, which is not part of the ONNX standard; "
                "export it with standard operators only"
            )
        if node.op_type in _CONTROL_FLOW:
            raise UnsupportedOperationError(
                f"the model contains a loop, {node.op_type} ({node.name or 'without a name'}); unroll it for a fixed number "
                "of frames, or use an LSTM, GRU or RNN operator"
            )
    for tensor in _all_tensors(proto.graph):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise UnsupportedOperationError(
                f"the weight {tensor.name} lies in another file; save the model with all weights in one file"
            )
    if proto.graph.sparse_initializer:
        raise UnsupportedOperationError("the model has sparse weights; save them as ordinary tensors")


def _all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_nodes(inner)


def _all_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_tensors(inner)


def _constants(graph: GraphProto) -> dict[str, Tensor]:
    return {tensor.name: read_tensor(tensor, f"the weight {tensor.name}") for tensor in graph.initializer}


def read_tensor(proto: TensorProto, what: str) -> Tensor:
    """The tensor in the file's own type. Raises ClassifierError where it is damaged or not finite."""
    if proto.data_type not in _TYPES:
        kind = type_name(proto.data_type)
        raise UnsupportedOperationError(f"{what} is of the type {kind}; save it as ordinary numbers")
    try:
        array = numpy_helper.to_array(proto)
        array = np.ascontiguousarray(array.astype(np.float32) if proto.data_type == TensorProto.BFLOAT16 else array)
        tensor = torch.from_numpy(array.copy()).reshape(tuple(proto.dims)).to(_TYPES[proto.data_type])
    except (ValueError, TypeError, RuntimeError, OverflowError, MemoryError):
        raise ClassifierError(f"{what} is damaged: its values do not fit its shape {list(proto.dims)[:8]}") from None
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        wrong = int((~torch.isfinite(tensor)).sum())
        raise ClassifierError(
            f"{wrong} of {tensor.numel()} values of {what} are NaN or infinite; train the classifier again or choose an "
            "earlier checkpoint"
        )
    return tensor


def type_name(number: int | None) -> str:
    """What the standard calls a type of elements."""
    return TensorProto.DataType.Name(number) if number in TensorProto.DataType.values() else f"number {number}"


def _node(node: NodeProto) -> OnnxNode:
    attributes = {attribute.name: _attribute(node, attribute) for attribute in node.attribute}
    return OnnxNode(node.op_type, node.name, tuple(node.input), tuple(node.output), attributes)


def _attribute(node: NodeProto, attribute: AttributeProto) -> Any:
    where = f"the attribute {attribute.name} of {node.op_type} ({node.name})"
    readers: dict[int, Callable[[], Any]] = {
        AttributeProto.FLOAT: lambda: attribute.f,
        AttributeProto.INT: lambda: attribute.i,
        AttributeProto.STRING: lambda: attribute.s.decode("utf-8", "replace"),
        AttributeProto.TENSOR: lambda: read_tensor(attribute.t, where),
        AttributeProto.FLOATS: lambda: tuple(attribute.floats),
        AttributeProto.INTS: lambda: tuple(attribute.ints),
        AttributeProto.STRINGS: lambda: tuple(text.decode("utf-8", "replace") for text in attribute.strings),
        AttributeProto.GRAPH: lambda: _branch(attribute.g),
    }
    if attribute.type not in readers:
        raise UnsupportedOperationError(f"{where} has a type that is not read; export the model in another way")
    value = readers[attribute.type]()
    numbers = value if isinstance(value, tuple) else (value,)
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        raise ClassifierError(f"{where} is not a finite number")
    return value


def _branch(graph: GraphProto) -> OnnxBranch:
    nodes = tuple(_node(node) for node in graph.node)
    return OnnxBranch(nodes, _constants(graph), tuple(value.name for value in graph.output))


def _check_order(nodes: Iterable[OnnxNode], given: set[str], output: str) -> None:
    """Refuse values that are read before they are computed, as in a cycle, and names with two meanings."""
    known = set(given)
    for node in nodes:
        missing = [name for name in node.inputs if name and name not in known]
        if missing:
            raise ClassifierError(
                f"{node.described} reads {missing[0]}, which nothing before it computes: the graph has a cycle, or it is damaged"
            )
        names = [name for name in node.outputs if name]
        doubled = [name for name in names if name in known or names.count(name) > 1]
        if doubled:
            raise ClassifierError(f"the graph is damaged: {doubled[0]} is computed twice")
        known.update(names)
    if output not in known:
        raise ClassifierError(f"nothing computes the output {output}; the graph is damaged")


def _axes(value: ValueInfoProto) -> tuple[int | None, ...]:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise ClassifierError(f"the input {value.name} has no shape; export the model with one")
    if kind.elem_type not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        name = type_name(kind.elem_type)
        raise UnsupportedOperationError(f"the input {value.name} is of the type {name}; export the model in float32")
    return tuple(
        axis.dim_value if axis.HasField("dim_value") and axis.dim_value > 0 else None for axis in kind.shape.dim
    )
