"""Every ONNX operator that is read computes what onnxruntime computes, in all its forms and versions."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.engine.onnx_models import floats, make_model, one_node, whole
from verification.engine.errors import EngineError
from verification.engine.network.onnx_import import OnnxNetwork, check_reference, parse_model
from verification.engine.network.onnx_import.operators import OPERATORS

PICTURE = (2, 4, 7, 9)
FRAMES = (5, 1, 4)


def agrees(model: onnx.ModelProto) -> None:
    """Both compute the same for two inputs."""
    content = model.SerializeToString()
    parsed = parse_model(content)
    shape = tuple(size or 1 for size in parsed.axes)
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.rand(shape, generator=generator), torch.randn(shape, generator=generator)]
    check_reference(content, OnnxNetwork(parsed, shape).eval(), inputs)


UNARY = [
    "Relu",
    "Sigmoid",
    "Tanh",
    "Softsign",
    "Softplus",
    "HardSwish",
    "Erf",
    "Abs",
    "Neg",
    "Exp",
    "Reciprocal",
    "Identity",
]
UNARY += [
    "LeakyRelu",
    "Elu",
    "Selu",
    "Celu",
    "HardSigmoid",
    "ThresholdedRelu",
    "Softmax",
    "LogSoftmax",
    "Dropout",
    "Flatten",
]
UNARY += [
    "Sin",
    "Cos",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "Transpose",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "LpNormalization",
]
UNARY += ["MeanVarianceNormalization", "Mish"]


@pytest.mark.parametrize("operator", UNARY)
def test_functions_of_one_value(operator: str) -> None:
    agrees(one_node(operator, PICTURE, version=18 if operator == "Mish" else 17))


POSITIVE = [
    ("Sqrt", {}),
    ("Log", {}),
    ("ReduceLogSum", {"axes": [1]}),
]


@pytest.mark.parametrize(("operator", "attributes"), POSITIVE, ids=str)
def test_functions_of_positive_values(operator: str, attributes: dict[str, Any]) -> None:
    nodes = [
        helper.make_node("Abs", ["x"], ["positive"], "abs"),
        helper.make_node("Add", ["positive", "one"], ["more"], "add"),
        helper.make_node(operator, ["more"], ["y"], "function", **attributes),
    ]
    agrees(make_model(nodes, PICTURE, {"one": np.float32(0.5)}))


WITH_ATTRIBUTES: list[tuple[str, dict[str, np.ndarray | np.generic], int, dict[str, Any]]] = [
    ("LeakyRelu", {}, 17, {"alpha": 0.3}),
    ("Elu", {}, 17, {"alpha": 0.7}),
    ("HardSigmoid", {}, 17, {"alpha": 0.3, "beta": 0.4}),
    ("Gelu", {}, 20, {}),
    ("Gelu", {}, 20, {"approximate": "tanh"}),
    ("PRelu", {"slope": floats(4, 1, 1)}, 17, {}),
    ("PRelu", {"slope": floats(1)}, 17, {}),
    ("PRelu", {"slope": floats(7, 9)}, 17, {}),
    ("Clip", {"low": np.float32(-0.2), "high": np.float32(0.4)}, 17, {}),
    ("Clip", {"-": np.float32(0), "high": np.float32(0.4)}, 17, {}),
    ("Clip", {}, 17, {}),
    ("Clip", {}, 10, {"min": -0.2, "max": 0.4}),
    ("Softmax", {}, 11, {"axis": 1}),
    ("Softmax", {}, 11, {"axis": 3}),
    ("LogSoftmax", {}, 13, {"axis": 1}),
    ("Pow", {"two": np.float32(2)}, 17, {}),
    ("Pow", {"three": whole(3)}, 17, {}),
    ("Mod", {"by": np.float32(0.3)}, 17, {"fmod": 1}),
    ("Sum", {"a": floats(*PICTURE), "b": floats(9)}, 17, {}),
    ("Max", {"a": floats(*PICTURE), "b": floats(9)}, 17, {}),
    ("Min", {"a": floats(*PICTURE), "b": floats(9)}, 17, {}),
    ("Mean", {"a": floats(*PICTURE), "b": floats(9)}, 17, {}),
    ("Flatten", {}, 17, {"axis": 2}),
    ("Flatten", {}, 17, {"axis": -1}),
    ("Flatten", {}, 17, {"axis": 0}),
    ("Transpose", {}, 17, {"perm": [2, 0, 3, 1]}),
    ("Reshape", {"shape": whole(0, -1, 7)}, 17, {}),
    ("Squeeze", {"axes": whole(0)}, 17, {}),
    ("Unsqueeze", {"axes": whole(0, -1)}, 17, {}),
    ("Unsqueeze", {}, 11, {"axes": [0, 3]}),
    ("Slice", {"a": whole(1), "b": whole(2**63 - 1), "c": whole(2), "d": whole(2)}, 17, {}),
    ("Slice", {"a": whole(-1), "b": whole(-(2**63)), "c": whole(-1), "d": whole(-1)}, 17, {}),
    ("Slice", {"a": whole(5), "b": whole(0), "c": whole(3), "d": whole(-2)}, 17, {}),
    ("Slice", {"a": whole(-3, 1), "b": whole(-1, 100)}, 17, {}),
    ("Slice", {}, 9, {"starts": [1, 0], "ends": [1000, -1], "axes": [3, 2]}),
    ("Gather", {"i": whole(2, -1, 2)}, 17, {"axis": 2}),
    ("Gather", {"i": np.array(-2)}, 17, {"axis": 1}),
    ("Gather", {"i": np.array([[0, 1], [2, 3]])}, 17, {"axis": 3}),
    ("GatherElements", {"i": np.array([[[[0, -1]]]])}, 17, {"axis": 3}),
    ("Expand", {"shape": whole(3, 1, 4, 7, 1)}, 17, {}),
    ("Tile", {"times": whole(1, 2, 1, 3)}, 17, {}),
    ("Pad", {"sizes": whole(0, 1, 2, 0, 0, 0, 1, 3)}, 17, {}),
    ("Pad", {"sizes": whole(0, 0, -1, 1, 0, 0, 2, -2), "value": np.float32(0.5)}, 17, {}),
    ("Pad", {"sizes": whole(0, 0, 1, 2, 0, 0, 3, 4)}, 17, {"mode": "reflect"}),
    ("Pad", {"sizes": whole(0, 0, 1, 2, 0, 0, 3, 4)}, 17, {"mode": "edge"}),
    ("Pad", {}, 10, {"pads": [0, 0, 1, 2, 0, 0, 3, 4], "value": 0.25}),
    ("Pad", {"sizes": whole(1, 2), "-v": whole(0), "axes": whole(2)}, 18, {}),
    ("DepthToSpace", {}, 17, {"blocksize": 2}),
    ("DepthToSpace", {}, 17, {"blocksize": 2, "mode": "CRD"}),
    ("Trilu", {}, 17, {"upper": 0}),
    ("CumSum", {"axis": np.array(2)}, 17, {}),
    ("CumSum", {"axis": np.array(3)}, 17, {"reverse": 1, "exclusive": 1}),
    ("LRN", {}, 17, {"size": 3}),
    ("LRN", {}, 17, {"size": 5, "alpha": 0.1}),
    ("InstanceNormalization", {"s": floats(4), "b": floats(4, seed=1)}, 17, {}),
    ("LayerNormalization", {"s": floats(9), "b": floats(9, seed=1)}, 17, {}),
    ("LayerNormalization", {"s": floats(7, 9)}, 17, {"axis": 2, "epsilon": 1e-3}),
    ("GroupNormalization", {"s": floats(4), "b": floats(4, seed=1)}, 21, {"num_groups": 2}),
    ("MatMul", {"w": floats(9, 5)}, 17, {}),
    ("Einsum", {"w": floats(9, 4)}, 17, {"equation": "nchw,wc->nh"}),
    ("BatchNormalization", {"s": floats(4), "b": floats(4), "m": floats(4), "v": np.abs(floats(4)) + 0.1}, 17, {}),
    ("Cast", {}, 17, {"to": 1}),
    ("Where", {}, 17, {}),
]


@pytest.mark.parametrize(
    ("operator", "constants", "version", "attributes"), WITH_ATTRIBUTES, ids=lambda value: str(value)[:40]
)
def test_functions_with_attributes_and_constants(
    operator: str, constants: dict[str, np.ndarray | np.generic], version: int, attributes: dict[str, Any]
) -> None:
    if operator == "Where":
        mask = np.random.default_rng(0).random(PICTURE) < 0.5
        node = helper.make_node("Where", ["mask", "x", "other"], ["y"], "choice")
        agrees(make_model([node], PICTURE, {"mask": mask, "other": floats(9)}))
        return
    shape = {"Squeeze": (1, 4, 7, 9), "DepthToSpace": (1, 8, 3, 5)}.get(operator, PICTURE)
    agrees(one_node(operator, shape, constants, version, **attributes))


def test_space_to_depth() -> None:
    agrees(one_node("SpaceToDepth", (1, 2, 6, 8), blocksize=2))


REDUCTIONS = [
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
    "ReduceL1",
    "ReduceL2",
]


@pytest.mark.parametrize("operator", [*REDUCTIONS, "ReduceLogSumExp"])
def test_reductions(operator: str) -> None:
    constants = {"axes": whole(1, -1)}
    agrees(one_node(operator, PICTURE, constants, 18, keepdims=0))
    agrees(one_node(operator, PICTURE, {}, 18))
    agrees(
        one_node(operator, PICTURE, {}, 18, noop_with_empty_axes=1)
        if operator == "ReduceSum"
        else one_node(operator, PICTURE)
    )
    older = {"axes": [2, 3]}
    agrees(one_node(operator, PICTURE, {}, 11, **older))


@pytest.mark.parametrize("turned", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("bias", [(), (3,), (1, 3), (2, 3), (1,)])
def test_gemm(turned: tuple[int, int], bias: tuple[int, ...]) -> None:
    shape = (5, 2) if turned[0] else (2, 5)
    constants = {"w": floats(*((3, 5) if turned[1] else (5, 3)))} | ({"b": floats(*bias, seed=1)} if bias else {})
    agrees(one_node("Gemm", shape, constants, transA=turned[0], transB=turned[1], alpha=0.7, beta=1.3))


def test_products_of_values_of_the_clip() -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["turned"], "turn", perm=[1, 0]),
        helper.make_node("Gemm", ["x", "turned"], ["square"], "square"),
        helper.make_node("MatMul", ["square", "x"], ["y"], "again"),
    ]
    agrees(make_model(nodes, (3, 4)))


@pytest.mark.parametrize("version", [10, 11, 13, 19])
@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "nearest"},
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"mode": "nearest", "coordinate_transformation_mode": "align_corners", "nearest_mode": "ceil"},
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    ],
    ids=str,
)
def test_resizing(attributes: dict[str, Any], version: int) -> None:
    scales = np.array([1, 1, 2, 1.5], dtype=np.float32)
    if version == 10:
        if attributes != {"mode": "nearest"}:
            pytest.skip("this version has no such attributes")
        agrees(one_node("Resize", PICTURE, {"scales": scales}, 10, **attributes))
        return
    empty = np.zeros(0, dtype=np.float32)
    roi, none = ({"roi": empty}, {"none": empty}) if version == 11 else ({"-roi": empty}, {"-none": empty})
    agrees(one_node("Resize", PICTURE, roi | {"scales": scales}, version, **attributes))
    agrees(one_node("Resize", PICTURE, roi | none | {"sizes": whole(2, 4, 10, 6)}, version, **attributes))


def test_upsampling_of_old_versions() -> None:
    agrees(one_node("Upsample", PICTURE, {"scales": np.array([1, 1, 2, 3], dtype=np.float32)}, 9, mode="nearest"))


WINDOWS = st.fixed_dictionaries(
    {
        "kernel": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "strides": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "pads": st.tuples(*[st.integers(0, 3)] * 4),
        "dilations": st.tuples(st.integers(1, 2), st.integers(1, 2)),
        "auto_pad": st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]),
        "ceil": st.booleans(),
        "whole": st.booleans(),
    }
)


def window_attributes(drawn: dict[str, Any]) -> dict[str, Any]:
    attributes = {"strides": drawn["strides"], "auto_pad": drawn["auto_pad"]}
    return attributes | ({"pads": drawn["pads"]} if drawn["auto_pad"] == "NOTSET" else {})


PATIENT = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@PATIENT
@given(WINDOWS, st.sampled_from([1, 2, 4]))
def test_convolutions(drawn: dict[str, Any], groups: int) -> None:
    constants = {"w": floats(8, 4 // groups, *drawn["kernel"]), "b": floats(8, seed=1)}
    dilations = drawn["dilations"] if drawn["auto_pad"] == "NOTSET" else (1, 1)
    agrees(one_node("Conv", (2, 4, 12, 13), constants, group=groups, dilations=dilations, **window_attributes(drawn)))


@PATIENT
@given(WINDOWS)
def test_transposed_convolutions(drawn: dict[str, Any]) -> None:
    constants = {"w": floats(4, 3, *drawn["kernel"]), "b": floats(3, seed=1)}
    attributes = window_attributes(drawn)
    if drawn["auto_pad"] == "NOTSET":
        span = [(d * (k - 1)) // 2 for d, k in zip(drawn["dilations"], drawn["kernel"], strict=True)]
        attributes["pads"] = [min(p, s) for p, s in zip(drawn["pads"], span * 2, strict=True)]
        attributes["dilations"] = drawn["dilations"]
    short = any(k < s for k, s in zip(drawn["kernel"], drawn["strides"], strict=True))
    try:
        agrees(one_node("ConvTranspose", (2, 4, 5, 6), constants, **attributes))
    except EngineError as error:
        assert short
        assert str(drawn["auto_pad"]).startswith("SAME")
        assert "more than its windows reach" in str(error)


@PATIENT
@given(WINDOWS, st.sampled_from(["MaxPool", "AveragePool"]))
def test_pools(drawn: dict[str, Any], operator: str) -> None:
    """Where a form is refused, that says why; what is read, agrees."""
    kernel: tuple[int, int] = drawn["kernel"]
    strides: tuple[int, int] = drawn["strides"]
    # onnxruntime refuses windows that SAME leaves gaps between.
    assume(not str(drawn["auto_pad"]).startswith("SAME") or all(k >= s for k, s in zip(kernel, strides, strict=True)))
    attributes = window_attributes(drawn) | {"kernel_shape": kernel, "ceil_mode": int(bool(drawn["ceil"]))}
    if drawn["auto_pad"] == "NOTSET":
        attributes["pads"] = [min(p, k - 1) for p, k in zip(drawn["pads"], kernel * 2, strict=True)]
    if operator == "MaxPool":
        attributes["dilations"] = drawn["dilations"] if drawn["auto_pad"] == "NOTSET" else (1, 1)
    else:
        attributes["count_include_pad"] = int(bool(drawn["whole"]))
    try:
        agrees(one_node(operator, (1, 2, 9, 10), {}, **attributes))
    except EngineError as error:
        assert operator == "AveragePool" or "padding that torch has no counterpart of" in str(error)
        assert operator == "MaxPool" or (drawn["ceil"] and "differs from what onnxruntime" in str(error))


RECURRENT = [
    ("LSTM", 4, {}),
    ("LSTM", 4, {"activations": ["HardSigmoid", "Tanh", "Relu"]}),
    ("GRU", 3, {}),
    ("GRU", 3, {"linear_before_reset": 1}),
    ("GRU", 3, {"linear_before_reset": 1, "activations": ["HardSigmoid", "Softsign"]}),
    ("RNN", 1, {}),
    ("RNN", 1, {"activations": ["Relu"]}),
    ("RNN", 1, {"activations": ["Sigmoid"]}),
]


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("operator", "gates", "attributes"), RECURRENT, ids=str)
@pytest.mark.parametrize("states", [False, True])
def test_recurrent_layers(
    operator: str, gates: int, attributes: dict[str, list[str]], direction: str, states: bool
) -> None:
    count, hidden = (2 if direction == "bidirectional" else 1), 3
    options: dict[str, Any] = dict(attributes)
    if "activations" in attributes:
        options["activations"] = attributes["activations"] * count
    constants = {
        "w": floats(count, gates * hidden, 4, seed=1, scale=0.7),
        "r": floats(count, gates * hidden, hidden, seed=2, scale=0.7),
        "b": floats(count, 2 * gates * hidden, seed=3, scale=0.5),
    }
    if states:
        constants |= {"-lengths": whole(0), "h": floats(count, 1, hidden, seed=4)}
        if operator == "LSTM":
            constants["c"] = floats(count, 1, hidden, seed=5)
            constants["p"] = floats(count, 3 * hidden, seed=6)
    agrees(one_node(operator, FRAMES, constants, 14, hidden_size=hidden, direction=direction, **options))


def test_the_last_state_of_a_recurrent_layer() -> None:
    constants = {"w": floats(2, 12, 4), "r": floats(2, 12, 3)}
    node = helper.make_node("LSTM", ["x", "w", "r"], ["", "y"], "the LSTM", hidden_size=3, direction="bidirectional")
    agrees(make_model([node], FRAMES, constants))


def test_constants_are_computed_beforehand() -> None:
    """Shape, Gather, Unsqueeze, Concat, Range, ConstantOfShape, Equal, Where, as exporters write them; an If of a constant."""
    inner = helper.make_graph(
        [helper.make_node("Squeeze", ["thin", "first"], ["branch"], "squeeze")],
        "then",
        [],
        [helper.make_tensor_value_info("branch", 1, None)],
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["thin"], ["kept"], "keep")],
        "else",
        [],
        [helper.make_tensor_value_info("kept", 1, None)],
    )
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], "shape"),
        helper.make_node("Gather", ["shape", "second"], ["length"], "length", axis=0),
        helper.make_node("ConstantOfShape", ["length"], ["minus"], "ones", value=helper.make_tensor("v", 7, [1], [-1])),
        helper.make_node("Slice", ["minus", "zero", "one"], ["rest"], "rest"),
        helper.make_node("Concat", ["one", "length", "rest"], ["target"], "target", axis=0),
        helper.make_node("Reshape", ["x", "target"], ["thin"], "reshape"),
        helper.make_node("Equal", ["length", "four"], ["same"], "same"),
        helper.make_node("If", ["same"], ["result"], "choice", then_branch=inner, else_branch=other),
        helper.make_node("Relu", ["result"], ["y"], "relu"),
    ]
    constants = {"second": whole(1), "one": whole(1), "zero": whole(0), "four": whole(4), "first": whole(0)}
    agrees(make_model(nodes, (1, 4, 6), constants))
    agrees(make_model(nodes, (1, 5, 6), constants))


def test_what_nothing_needs_is_not_read() -> None:
    nodes = [helper.make_node("ArgMax", ["x"], ["place"], "place"), helper.make_node("Relu", ["x"], ["y"], "relu")]
    agrees(make_model(nodes, PICTURE))


def test_every_operator_is_tried() -> None:
    """Those that have no test here are refused, or only make constants."""
    tried = {*UNARY, *REDUCTIONS, *(case[0] for case in [*WITH_ATTRIBUTES, *POSITIVE, *RECURRENT])}
    tried |= {"ReduceLogSumExp", "Gemm", "Resize", "Upsample", "Conv", "ConvTranspose", "MaxPool", "AveragePool"}
    tried |= {"SpaceToDepth", "Shape", "ConstantOfShape", "Concat", "Equal"}
    refused = {
        "ArgMax",
        "ArgMin",
        "TopK",
        "NonMaxSuppression",
        "Hardmax",
        "GlobalLpPool",
        "LpPool",
        "MaxRoiPool",
        "RoiAlign",
    }
    refused |= {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
    by_others = {"Add", "Sub", "Mul", "Div", "Constant", "Split", "Size", "Range", "EyeLike", "NonZero", "CastLike"}
    logic = {"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor", "Not", "IsNaN"}
    assert set(OPERATORS) == tried | refused | by_others | logic
