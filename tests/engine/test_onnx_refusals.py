"""Files that are no classifier, or a hostile one: refused in a moment, in little memory, with words that say what is wrong."""

import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.engine.onnx_models import Constants, classifier_model, floats, make_model, one_node, whole
from verification.engine.errors import ClassifierError, UnsupportedOperationError
from verification.engine.network import load_classifier

LABELS = ("a", "b", "c")
SHAPE = (1, 4, 3, 16, 20)


def changed(change: Callable[[onnx.ModelProto], None]) -> bytes:
    """A working classifier after `change`."""
    model = classifier_model()
    change(model)
    return model.SerializeToString()


def truncated() -> bytes:
    return classifier_model().SerializeToString()[:-40]


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")


def not_finite(model: onnx.ModelProto) -> None:
    array = numpy_helper.to_array(model.graph.initializer[0]).copy()
    array[0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, "weight"))


def too_short(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-8]


def absurd_shape(model: onnx.ModelProto) -> None:
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([2**40, 2**20])


def negative_shape(model: onnx.ModelProto) -> None:
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([-3, -3])


def cyclic(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "later"
    model.graph.node.append(helper.make_node("Relu", ["y"], ["later"], "back"))


def computed_twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Relu", ["x"], ["means"], "again"))


def foreign(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def of_microsoft(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"


def unknown(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Teleport"


def new_version(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 99


def old_version(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 7


def no_version(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def second_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("audio", TensorProto.FLOAT, [1, 8]))


def second_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("means", TensorProto.FLOAT, None))


def no_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "nowhere"


def no_input(model: onnx.ModelProto) -> None:
    del model.graph.input[:]


def no_shape(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")


def of_bytes(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8


def of_text(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array(["text"], dtype=object), "weight"))


def no_nodes(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


def function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Relu", ["a"], ["b"])
    model.functions.append(helper.make_function("local", "Mine", ["a"], ["b"], [node], [helper.make_opsetid("", 17)]))


def sparse(model: onnx.ModelProto) -> None:
    values = helper.make_tensor("values", TensorProto.FLOAT, [1], [1.0])
    places = helper.make_tensor("places", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3]))


def constant_output(model: onnx.ModelProto) -> None:
    model.graph.node[1].input[0] = "row"
    model.graph.initializer.append(numpy_helper.from_array(floats(1, 3), "row"))


def infinite_attribute(model: onnx.ModelProto) -> None:
    model.graph.node[1].attribute.append(helper.make_attribute("alpha", float("inf")))


def no_axes(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute[0].ints[0] = 17


def many_nodes(model: onnx.ModelProto) -> None:
    first = model.graph.node[0]
    for number in range(30_000):
        model.graph.node.append(helper.make_node("Relu", [first.output[0]], [f"copy {number}"]))


def loop() -> bytes:
    body = helper.make_graph([], "body", [], [])
    node = helper.make_node("Loop", ["x"], ["y"], "the loop", body=body)
    return make_model([node], SHAPE).SerializeToString()


def dynamic_choice() -> bytes:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["inner"])], "branch", [], [helper.make_tensor_value_info("inner", 1, None)]
    )
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], "most", keepdims=0),
        helper.make_node("Greater", ["most", "limit"], ["bright"], "compare"),
        helper.make_node("If", ["bright"], ["y"], "the choice", then_branch=branch, else_branch=branch),
    ]
    return make_model(nodes, SHAPE, {"limit": np.float32(0.5)}).SerializeToString()


def bomb(operator: str, constants: Constants) -> bytes:
    """A file of a few bytes that asks for terabytes."""
    return one_node(operator, SHAPE, constants).SerializeToString()


def constant_bomb() -> bytes:
    nodes = [
        helper.make_node("ConstantOfShape", ["huge"], ["zeros"], "bomb"),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], "sum"),
        helper.make_node("Add", ["x", "sum"], ["y"], "add"),
    ]
    return make_model(nodes, SHAPE, {"huge": whole(10**6, 10**6)}).SerializeToString()


def range_bomb() -> bytes:
    nodes = [
        helper.make_node("Range", ["zero", "huge", "one"], ["numbers"], "bomb"),
        helper.make_node("ReduceSum", ["numbers"], ["sum"], "sum"),
        helper.make_node("Add", ["x", "sum"], ["y"], "add"),
    ]
    constants = {"zero": np.float32(0), "one": np.float32(1), "huge": np.float32(1e12)}
    return make_model(nodes, SHAPE, constants).SerializeToString()


def outer_product_bomb() -> bytes:
    """Each step is small beside its inputs; together they explode."""
    nodes = [
        helper.make_node("Reshape", ["x", "column"], ["a"], "column"),
        helper.make_node("Reshape", ["x", "row"], ["b"], "row"),
        helper.make_node("MatMul", ["a", "b"], ["c"], "square"),
        helper.make_node("Reshape", ["c", "column"], ["d"], "column again"),
        helper.make_node("Reshape", ["c", "row"], ["e"], "row again"),
        helper.make_node("MatMul", ["d", "e"], ["y"], "bomb"),
    ]
    return make_model(nodes, SHAPE, {"column": whole(-1, 1), "row": whole(1, -1)}).SerializeToString()


def of_size(*axes: int | None) -> bytes:
    model = classifier_model()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, axes))
    return model.SerializeToString()


KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "neither a safetensors nor an ONNX|not an ONNX file|holds no nodes"),
    "text": (lambda: b"I am a model. " * 20, "not an ONNX file"),
    "zeros": (lambda: b"\x00" * 500, "not an ONNX file"),
    "truncated": (truncated, "not an ONNX file, or it is truncated|is damaged"),
    "no nodes": (lambda: changed(no_nodes), "holds no nodes"),
    "weights elsewhere": (
        lambda: changed(external),
        "weight lies in another file; save the model with all weights in one",
    ),
    "weights that are no numbers": (
        lambda: changed(not_finite),
        "1 of 9 values of the weight weight are NaN or infinite",
    ),
    "too few weights": (lambda: changed(too_short), "the weight weight is damaged"),
    "absurd shape": (lambda: changed(absurd_shape), "the weight weight is damaged"),
    "negative shape": (lambda: changed(negative_shape), "the weight weight is damaged|cannot be computed"),
    "weights of text": (lambda: changed(of_text), "is of the type STRING"),
    "sparse weights": (lambda: changed(sparse), "sparse weights"),
    "cycle": (lambda: changed(cyclic), "reads later, which nothing before it computes"),
    "computed twice": (lambda: changed(computed_twice), "means is computed twice"),
    "foreign operators": (lambda: changed(foreign), "ReduceMean of the operator set com.example"),
    "runtime's own operators": (lambda: changed(of_microsoft), "of the operator set com.microsoft"),
    "unknown operator": (lambda: changed(unknown), r"the ONNX operator Teleport \(means\)"),
    "local function": (lambda: changed(function), "defines the function Mine"),
    "loop": (loop, r"a loop, Loop \(the loop\)"),
    "dynamic choice": (dynamic_choice, r"dynamic control flow, If \(the choice\)"),
    "too new": (lambda: changed(new_version), "version 99 of the ONNX operators; versions 9 to 21 are read"),
    "too old": (lambda: changed(old_version), "version 7 of the ONNX operators"),
    "no version": (lambda: changed(no_version), "does not say which version"),
    "two inputs": (lambda: changed(second_input), r"2 inputs \(x, audio\)"),
    "two outputs": (lambda: changed(second_output), r"2 outputs \(y, means\)"),
    "missing output": (lambda: changed(no_output), "nothing computes the output nowhere"),
    "no input": (lambda: changed(no_input), r"0 inputs \(none\)|which nothing before it computes"),
    "no shape": (lambda: changed(no_shape), "the input x has no shape"),
    "bytes as input": (lambda: changed(of_bytes), "the input x is of the type UINT8; export the model in float32"),
    "independent of the clip": (lambda: changed(constant_output), "does not depend on its input"),
    "infinite attribute": (lambda: changed(infinite_attribute), "alpha of Gemm .* is not a finite number"),
    "axis that is not there": (lambda: changed(no_axes), "names the axes"),
    "thirty thousand nodes": (lambda: changed(many_nodes), "30002 nodes; at most 20000"),
    "constant bomb": (constant_bomb, r"ConstantOfShape \(bomb\) makes a value of shape .* too large"),
    "range bomb": (range_bomb, r"Range \(bomb\) makes a value of shape .* too large"),
    "tile bomb": (lambda: bomb("Tile", {"n": whole(1, 10**5, 1, 10**5, 1)}), "makes a value of shape .* too large"),
    "expand bomb": (lambda: bomb("Expand", {"n": whole(10**9, 1, 1, 1, 1)}), "makes a value of shape .* too large"),
    "pad bomb": (lambda: bomb("Pad", {"n": whole(*[10**5] * 10)}), "makes a value that is too large"),
    "product bomb": (outer_product_bomb, r"MatMul \(bomb\) makes a value of shape .* too large"),
    "pictures of 100,000 pixels": (lambda: of_size(1, 4, 3, 100_000, 100_000), "8 to 1024 pixels high and wide"),
    "a million frames": (lambda: of_size(1, 1_000_000, 3, 16, 20), "2 to 512 frames"),
    "five channels": (lambda: of_size(1, 4, 5, 16, 20), "input has the shape"),
    "two axes": (lambda: of_size(1, 3840), "input has the shape"),
    "batches of eight": (lambda: of_size(8, 4, 3, 16, 20), "input has the shape"),
    "frames unknown": (lambda: of_size(1, None, 3, 16, 20), "does not say how many frames"),
    "size unknown": (lambda: of_size(1, 4, 3, None, None), "does not say the size of its frames"),
    "pickle": (lambda: pickle.dumps({"weight": [1.0]}), "is a pickle, which could run code"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_refused_and_how(kind: str, tmp_path: Path) -> None:
    make, expected = KINDS[kind]
    path = tmp_path / "model.onnx"
    path.write_bytes(make())
    start = time.monotonic()
    with pytest.raises((ClassifierError, UnsupportedOperationError), match=expected) as refusal:
        load_classifier(path, labels=LABELS)
    assert time.monotonic() - start < 10
    assert "Traceback" not in str(refusal.value)
    assert len(str(refusal.value)) < 600


def test_an_archive_with_another_name(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps([1]))
    with pytest.raises(ClassifierError, match="is a pickle, which could run code"):
        load_classifier(path, labels=LABELS)


def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(classifier_model().SerializeToString())
    with pytest.raises(ClassifierError, match="2 labels, but the classifier has 3 outputs"):
        load_classifier(path, labels=["a", "b"])
    with pytest.raises(ClassifierError, match="does not name its classes"):
        load_classifier(path)


def test_axes_that_cannot_be_what_is_said(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(classifier_model().SerializeToString())
    with pytest.raises(ClassifierError, match="axes cannot be 'nthwc'; they can be ntchw"):
        load_classifier(path, labels=LABELS, order="nthwc")
