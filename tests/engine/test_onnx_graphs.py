"""Random graphs of operators, with branches and shape arithmetic as exporters write it, compute what onnxruntime computes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.engine.onnx_models import floats, whole
from verification.engine.network.export import export_graph
from verification.engine.network.onnx_import import OnnxNetwork, check_reference, parse_model

Draw = Callable[[st.SearchStrategy[int]], int]
FRAMES, SIDE, CLASSES = 3, 8, 4


@dataclass
class Sketch:
    """A model under construction; its values are all (n, c, h, w)."""

    draw: Draw
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], f"{operator} {name}", **attributes))
        return name

    def constant(self, value: np.ndarray | np.generic) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def number(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))


def activation(sketch: Sketch, value: str, channels: int) -> tuple[str, int]:
    kinds = ["Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "HardSwish", "Softplus", "Clip"]
    kind = kinds[sketch.number(0, len(kinds) - 1)]
    if kind == "Clip":
        ends = [sketch.constant(np.float32(-0.5)), sketch.constant(np.float32(0.75))]
        return sketch.node("Clip", value, *ends), channels
    return sketch.node(kind, value), channels


def convolution(sketch: Sketch, value: str, channels: int) -> tuple[str, int]:
    more, kernel = sketch.number(1, 4), sketch.number(1, 3)
    weight = sketch.constant(floats(more, channels, kernel, kernel, seed=sketch.number(0, 99), scale=0.5))
    bias = sketch.constant(floats(more, seed=sketch.number(0, 99)))
    before = kernel // 2
    after = kernel - 1 - before
    return sketch.node("Conv", value, weight, bias, pads=[before, before, after, after]), more


def normalisation(sketch: Sketch, value: str, channels: int) -> tuple[str, int]:
    seed = sketch.number(0, 99)
    parameters = [floats(channels, seed=seed + i) for i in range(3)] + [np.abs(floats(channels, seed=seed)) + 0.5]
    return sketch.node("BatchNormalization", value, *map(sketch.constant, parameters)), channels


def pooling(sketch: Sketch, value: str, channels: int) -> tuple[str, int]:
    kind = ["MaxPool", "AveragePool"][sketch.number(0, 1)]
    return sketch.node(kind, value, kernel_shape=[3, 3], pads=[1, 1, 1, 1]), channels


def residual(sketch: Sketch, value: str, channels: int) -> tuple[str, int]:
    other, more = convolution(sketch, value, channels)
    if more != channels:
        return sketch.node("Concat", value, other, axis=1), channels + more
    return sketch.node(["Add", "Sub", "Mul"][sketch.number(0, 2)], value, other), channels


def split_and_swap(sketch: Sketch, value: str, channels: int) -> tuple[str, int]:
    if channels < 2:
        return value, channels
    at = sketch.number(1, channels - 1)

    def part(start: int, end: int) -> str:
        return sketch.node("Slice", value, *(sketch.constant(whole(number)) for number in (start, end, 1)))

    return sketch.node("Concat", part(at, channels), part(0, at), axis=1), channels


def there_and_back(sketch: Sketch, value: str, channels: int) -> tuple[str, int]:
    """Transposed, reshaped by a shape that is computed from the value's own, and back."""
    shape = sketch.node("Shape", value)
    turned = sketch.node("Transpose", value, perm=[0, 2, 3, 1])
    leading = sketch.node("Gather", shape, sketch.constant(whole(0)))
    flat = sketch.node("Reshape", turned, sketch.node("Concat", leading, sketch.constant(whole(-1)), axis=0))
    moved = sketch.node("Gather", shape, sketch.constant(whole(0, 2, 3, 1)))
    return sketch.node("Transpose", sketch.node("Reshape", flat, moved), perm=[0, 3, 1, 2]), channels


STEPS = (activation, activation, convolution, normalisation, pooling, residual, split_and_swap, there_and_back)


@st.composite
def models(draw: Draw) -> onnx.ModelProto:
    """From a clip (1, l, 3, h, w), frame by frame, sometimes through an LSTM, to logits."""
    sketch = Sketch(draw)
    value = sketch.node("Reshape", "x", sketch.constant(whole(FRAMES, 3, SIDE, SIDE)))
    channels = 3
    for _ in range(sketch.number(1, 6)):
        value, channels = STEPS[sketch.number(0, len(STEPS) - 1)](sketch, value, channels)
    features = sketch.node("Flatten", sketch.node("GlobalAveragePool", value))
    if sketch.number(0, 1):
        steps = sketch.node("Reshape", features, sketch.constant(whole(FRAMES, 1, channels)))
        hidden, seed = sketch.number(1, 3), sketch.number(0, 99)
        weights = [floats(1, 4 * hidden, channels, seed=seed), floats(1, 4 * hidden, hidden, seed=seed + 1)]
        sketch.nodes.append(
            helper.make_node("LSTM", [steps, *map(sketch.constant, weights)], ["", "last", ""], hidden_size=hidden)
        )
        features, channels = sketch.node("Reshape", "last", sketch.constant(whole(1, hidden))), hidden
    else:
        features = sketch.node("ReduceMean", features, axes=[0], keepdims=1)
    weight = sketch.constant(floats(channels, CLASSES, seed=sketch.number(0, 99)))
    sketch.nodes.append(helper.make_node("MatMul", [features, weight], ["y"], "head"))
    graph = helper.make_graph(
        sketch.nodes,
        "random",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, FRAMES, 3, SIDE, SIDE))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in sketch.constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(models())
def test_random_graphs(model: onnx.ModelProto) -> None:
    content = model.SerializeToString()
    shape = (1, FRAMES, 3, SIDE, SIDE)
    network = OnnxNetwork(parse_model(content), shape).eval()
    generator = torch.Generator().manual_seed(0)

    check_reference(content, network, [torch.rand(shape, generator=generator) for _ in range(2)])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(models())
def test_random_graphs_can_be_bounded(model: onnx.ModelProto) -> None:
    shape = (1, FRAMES, 3, SIDE, SIDE)
    network = OnnxNetwork(parse_model(model.SerializeToString()), shape).eval().requires_grad_(False)
    clip = torch.rand(shape, generator=torch.Generator().manual_seed(0))

    graph = export_graph(network, shape)

    torch.testing.assert_close(graph(clip.double()).float(), network(clip), rtol=1e-4, atol=1e-5)
