"""Small ONNX models, made node by node or exported by torch."""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

Constants = Mapping[str, np.ndarray | np.generic]


def floats(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def make_model(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int | str | None],
    constants: Constants | None = None,
    version: int = 17,
    output: str = "y",
    inputs: Sequence[onnx.ValueInfoProto] = (),
) -> onnx.ModelProto:
    """A model from the clip "x" to `output`."""
    graph = helper.make_graph(
        list(nodes),
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape), *inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)


def one_node(
    operator: str, shape: Sequence[int], constants: Constants | None = None, version: int = 17, **attributes: Any
) -> onnx.ModelProto:
    """A model of one node whose first input is the clip, the others the `constants` in their order ("" leaves one out)."""
    names = ["" if name.startswith("-") else name for name in constants or {}]
    node = helper.make_node(operator, ["x", *names], ["y"], name=f"the {operator}", **attributes)
    return make_model([node], shape, {k: v for k, v in (constants or {}).items() if not k.startswith("-")}, version)


def classifier_model(
    classes: int = 3, shape: tuple[int, ...] = (1, 4, 3, 16, 20), version: int = 17
) -> onnx.ModelProto:
    """Means of the frames' channels, and a matrix."""
    order = sorted(range(1, len(shape)), key=lambda axis: shape[axis] != 3)
    channels = order[0]
    axes = [axis for axis in range(1, len(shape)) if axis != channels]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["means"], "means", axes=axes, keepdims=0),
        helper.make_node("Gemm", ["means", "weight", "bias"], ["y"], "head"),
    ]
    return make_model(nodes, shape, {"weight": floats(3, classes), "bias": floats(classes, seed=1)}, version)


def exported(network: nn.Module, shape: tuple[int, ...], version: int) -> bytes:
    """What torch's own exporter makes of a network."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(network.eval(), (torch.rand(shape),), path, opset_version=version, dynamo=False)
        return path.read_bytes()
