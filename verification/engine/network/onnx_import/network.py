"""An ONNX graph as a torch module: what the clip does not decide is computed once, the rest becomes steps."""

import re
from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from verification.engine.errors import ClassifierError, EngineError, UnsupportedOperationError, first_line
from verification.engine.network.onnx_import.call import Call, Function
from verification.engine.network.onnx_import.model import OnnxBranch, OnnxModel, OnnxNode
from verification.engine.network.onnx_import.operators import OPERATORS

#: The most elements that a value may have: more than any network of clips needs, less than what brings down a machine.
LARGEST = 1 << 28
#: Operators whose results may be far larger than their inputs: their size is found before they are computed, as is that of all
#: results of large inputs.
_GROWING = {"ConstantOfShape", "ConvTranspose", "Expand", "EyeLike", "Pad", "Range", "Resize", "Tile", "Upsample"}
_LARGE = 1 << 12


class Step(nn.Module):
    """One function. Inputs that are constants are buffers (None where left out); the others are those of `forward`."""

    def __init__(self, function: Function, inputs: list[Tensor | None], fixed: list[bool]) -> None:
        super().__init__()
        self.function, self.fixed = function, tuple(fixed)
        for position, value in enumerate(inputs):
            if fixed[position]:
                self.register_buffer(f"constant_{position}", value)

    def forward(self, *values: Tensor) -> Tensor | tuple[Tensor, ...]:
        given = iter(values)
        return self.function(
            *(getattr(self, f"constant_{i}") if fixed else next(given) for i, fixed in enumerate(self.fixed))
        )


class OnnxNetwork(nn.Module):
    """`model` for inputs of one `shape`. Takes and gives what the model takes and gives.

    Raises ClassifierError where the model does not fit the shape, is damaged, or does not use its input;
    UnsupportedOperationError for operators that are not known, with their names and places.
    """

    def __init__(self, model: OnnxModel, shape: tuple[int, ...]) -> None:
        super().__init__()
        self._input, self._output = model.input, model.output
        self._plan: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        with torch.no_grad():
            sample = torch.rand(shape, generator=torch.Generator().manual_seed(0))
            _Builder(self, model, sample).run()
        self._uses = Counter(name for _, inputs, _ in self._plan for name in inputs)

    def add(self, node: OnnxNode, step: Step, inputs: tuple[str, ...]) -> None:
        """Append a step, under the node's name as far as that is one for a module."""
        stem = re.sub(r"\W+", "_", node.name).strip("_") or node.operator
        name = stem if not hasattr(self, stem) and not stem[0].isdigit() else f"{node.operator}_{len(self._plan)}"
        self.add_module(name, step)
        self._plan.append((name, inputs, node.outputs))

    def forward(self, clip: Tensor) -> Tensor:
        values, uses = {self._input: clip}, self._uses.copy()
        for name, inputs, outputs in self._plan:
            results = self.get_submodule(name)(*(values[source] for source in inputs))
            values |= dict(zip(outputs, results if isinstance(results, tuple) else (results,), strict=False))
            for source in inputs:
                uses[source] -= 1
                if not uses[source] and source != self._output:
                    values.pop(source, None)
        return values[self._output]


class _Builder:
    """Goes through the nodes with a sample clip. `known`: all values. `fixed`: names of those that the clip does not decide."""

    def __init__(self, network: OnnxNetwork, model: OnnxModel, sample: Tensor) -> None:
        self.network, self.model = network, model
        self.known: dict[str, Tensor] = {**model.constants, model.input: sample}
        self.fixed = set(model.constants)
        self.nodes = _needed(model.nodes, {model.output})
        self.uses = Counter(name for node in self.nodes for name in _read(node))

    def run(self) -> None:
        for node in self.nodes:
            self._import(node)
            for name in _read(node):
                self.uses[name] -= 1
                if not self.uses[name] and name != self.model.output:
                    self.known.pop(name, None)
        if self.model.output in self.fixed or self.model.output == self.model.input:
            raise ClassifierError("the output of the model does not depend on its input")

    def _import(self, node: OnnxNode) -> None:
        if node.operator == "If":
            self._branch(node)
            return
        if node.operator not in OPERATORS:
            raise UnsupportedOperationError(
                f"the model contains the ONNX operator {node.described}, which is not supported; replace it by an operator from "
                "the documentation's list"
            )
        inputs = [self.known[name] if name else None for name in node.inputs]
        fixed = [not name or name in self.fixed for name in node.inputs]
        call = Call(node, self.model.version, inputs, fixed)
        function, results = _computed(call)
        if len(results) < len(node.outputs) and any(node.outputs[len(results) :]):
            call.refuse(
                f"has {len(node.outputs)} results, of which {len(results)} are supported", "do without the others"
            )
        _refuse_large(call, results)
        self.known.update(zip(node.outputs, results, strict=False))
        if node.operator in ("Shape", "Size") or all(call.fixed):
            self.fixed.update(node.outputs)
            return
        step = Step(function, call.inputs, call.fixed)
        dynamic = tuple(name for name, constant in zip(node.inputs, call.fixed, strict=False) if not constant)
        self.network.add(node, step, dynamic)

    def _branch(self, node: OnnxNode) -> None:
        """Take the branch that the condition, which must be a constant, chooses."""
        if node.inputs[0] not in self.fixed:
            raise UnsupportedOperationError(
                f"the model contains dynamic control flow, {node.described}, whose condition depends on the clip; compute the "
                "same way for all clips"
            )
        branch = node.attributes.get("then_branch" if bool(self.known[node.inputs[0]].all()) else "else_branch")
        if not isinstance(branch, OnnxBranch):
            raise ClassifierError(f"{node.described} lacks a branch; the graph is damaged")
        for name, value in branch.constants.items():
            self.known[name] = value
            self.fixed.add(name)
        for inner in branch.nodes:
            self._import(inner)
        for outer, inner_name in zip(node.outputs, branch.outputs, strict=False):
            self.known[outer] = self.known[inner_name]
            if inner_name in self.fixed:
                self.fixed.add(outer)
            else:
                renamed = OnnxNode("Identity", f"{node.name}_{outer}", (inner_name,), (outer,), {})
                self._import(renamed)


def _read(node: OnnxNode) -> Iterator[str]:
    """The names that a node reads, those of its branches included."""
    yield from (name for name in node.inputs if name)
    for value in node.attributes.values():
        if isinstance(value, OnnxBranch):
            yield from (name for inner in value.nodes for name in _read(inner))
            yield from value.outputs


def _needed(nodes: tuple[OnnxNode, ...], wanted: set[str]) -> list[OnnxNode]:
    """Those of the nodes on which the `wanted` values depend."""
    kept, wanted = [], set(wanted)
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(_read(node))
    return kept[::-1]


def _computed(call: Call) -> tuple[Function, tuple[Tensor, ...]]:
    """The function of a node, and its results on the sample clip."""
    try:
        function = OPERATORS[call.node.operator](call)
        sizes = sum(value.numel() for value in call.inputs if value is not None)
        if call.node.operator in _GROWING or sizes > _LARGE:
            _check_size(call, function)
        results = function(*call.inputs)
    except EngineError:
        raise
    except Exception as error:  # torch raises what its functions refuse as many unrelated classes
        shapes = ", ".join(str(list(value.shape)) for value in call.inputs if value is not None)
        raise ClassifierError(
            f"the ONNX node {call.node.described} cannot be computed for inputs of shapes {shapes}: {first_line(error)}; "
            "check the size of the clips, and export the model again"
        ) from error
    return function, results if isinstance(results, tuple) else (results,)


def _check_size(call: Call, function: Function) -> None:
    """Refuse a result that is too large, before it takes any memory."""
    nowhere = [value if value is None else value.to("meta") for value in call.inputs]
    try:
        results = function(*nowhere)
    except NotImplementedError:
        return  # what depends on values, such as the places that are not zero, is no larger than its input
    except RuntimeError as error:
        if "overflow" in str(error):
            call.refuse("makes a value that is too large to be counted", "use smaller clips")
        raise
    _refuse_large(call, results if isinstance(results, tuple) else (results,))


def _refuse_large(call: Call, results: tuple[Tensor, ...]) -> None:
    for result in results:
        if result.numel() > LARGEST:
            call.refuse(f"makes a value of shape {list(result.shape)}, which is too large", "use smaller clips")
