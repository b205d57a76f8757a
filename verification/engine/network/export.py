"""From a torch module to the graph: `torch.export`, decompositions, constants folded, the rest lowered (section 5)."""

import operator
import warnings
from typing import Any

import torch
from torch import Tensor, fx, nn

from verification.engine.errors import ClassifierError, UnsupportedOperationError
from verification.engine.network.fusion import fuse_gates
from verification.engine.network.graph import Graph, Node
from verification.engine.network.lowering import Lowering, Reference
from verification.engine.network.operations import LOWERINGS

#: Types that stand for real numbers here; the others round so much that the graph would be another function.
_REAL = {torch.float32, torch.float64}


def export_graph(module: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """The graph of `module` (eval mode) for one clip of shape `input_shape` = (1, l, 3, h, w), constants in float64.

    Raises ClassifierError where the module cannot be traced or does not give one logit vector, UnsupportedOperationError
    where it contains an operation without a bound rule.
    """
    program = _traced(module, input_shape)
    constants = _constants(program)
    lowering = Lowering(input_shape)
    known: dict[str, Any] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder":
            known[node.name] = constants.get(node.name, Reference(0))
        elif node.op == "call_function":
            known[node.name] = _evaluate(lowering, node, known)
    output = known[_output(program)]
    if not isinstance(output, Reference):
        raise ClassifierError("the output of the classifier does not depend on its input")
    nodes = fuse_gates([Node(*emitted) for emitted in lowering.emitted[: output.index]])
    graph = Graph(input_shape, nodes)
    if len(graph.output_shape) != 2 or graph.output_shape[0] != 1 or graph.output_shape[1] < 2:
        raise ClassifierError(
            f"the classifier gives values of shape {list(graph.output_shape)}; one vector of at least two logits for a clip is "
            "needed, of shape [1, classes]"
        )
    return graph


def _traced(module: nn.Module, input_shape: tuple[int, ...]) -> Any:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            return torch.export.export(module.eval(), (torch.rand(input_shape),)).run_decompositions()
        except Exception as error:  # torch.export raises its users' errors as many unrelated classes
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ClassifierError(
                f"the classifier cannot be turned into a graph for a clip of shape {list(input_shape)}: {first}"
            ) from error


def _output(program: Any) -> str:
    """The name of the node that is the classifier's answer; buffers and inputs that it changes come before it."""
    signature = program.graph_signature
    if signature.buffers_to_mutate:
        changed = next(iter(signature.buffers_to_mutate.values()))
        raise ClassifierError(
            f"the classifier changes its buffer {changed} while it works, so its answer depends on earlier clips"
        )
    return str(signature.user_outputs[0])


def _constants(program: Any) -> dict[str, Tensor]:
    """Placeholder name -> parameter, buffer or lifted constant, in its own type."""
    signature = program.graph_signature
    sources = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    tensors = {name: program.state_dict.get(path, program.constants.get(path)) for name, path in sources.items()}
    lifted = signature.inputs_to_lifted_tensor_constants
    tensors |= {name: program.constants[path] for name, path in lifted.items()}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ClassifierError(f"the weight {sources.get(name, name)} holds values that are not finite numbers")
        if tensor.is_complex():
            raise ClassifierError(f"the weight {sources.get(name, name)} is complex; real weights are needed")
    return {name: tensor.detach() for name, tensor in tensors.items()}


def _wide(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def _evaluate(lowering: Lowering, node: fx.Node, known: dict[str, Any]) -> Any:
    """The constant that the node computes, or the reference to the nodes it is lowered to."""
    arguments: Any = fx.node.map_arg((node.args, node.kwargs), lambda n: known[n.name])
    args, kwargs = arguments
    if node.target is operator.getitem:
        return args[0][args[1]]
    name = str(node.target)
    value = node.meta.get("val")
    lowering.name, lowering.place = name, _place(node)
    lowering.result_shape = tuple(value.shape) if isinstance(value, Tensor) else ()
    if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
        lowering.refuse("random numbers")
    flat = [leaf for leaf in _leaves((args, kwargs)) if isinstance(leaf, Reference)]
    if not flat:
        # In the types of the module itself: in float64 a rounded constant, say an index, could become another one.
        compute: Any = node.target
        return compute(*args, **kwargs)
    if name not in LOWERINGS:
        lowering.refuse(f"the operation {name.removeprefix('aten.')}")
    if isinstance(value, Tensor) and value.dtype not in _REAL:
        lowering.refuse(f"values of the clip as {str(value.dtype).removeprefix('torch.')}")
    try:
        wide_args, wide_kwargs = fx.node.map_aggregate((args, kwargs), _wide)
        return LOWERINGS[name](lowering, *wide_args, **wide_kwargs)
    except TypeError as error:
        raise UnsupportedOperationError(
            f"the network uses {name} in a form without a bound rule, in {lowering.place or 'the top module'}: {error}"
        ) from error


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [value]


def _place(node: fx.Node) -> str:
    """The path of the module in which the operation stands, such as `features.3`."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    return paths[-1] if paths else ""
