"""From a torch module to the graph: `torch.export`, decompositions, constants folded, the rest lowered (section 5)."""

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn

from verification.engine.errors import ClassifierError, EngineError, first_line
from verification.engine.network.agreement import check_agreement
from verification.engine.network.fusion import fuse_gates, pool_first
from verification.engine.network.graph import Graph, Node
from verification.engine.network.lowering import Lowering, Reference
from verification.engine.network.operations import LOWERINGS
from verification.engine.network.tracing import trace

#: Types that stand for real numbers here; the others round so much that the graph would be another function.
_REAL = {torch.float32, torch.float64}
#: Memory that nobody has written to, and the argument that may be such memory where an operation never reads it.
_UNWRITTEN = ("aten.empty", "aten.new_empty")
_UNREAD = {"copy": 0, "fill": 0, "full_like": 0, "zeros_like": 0, "ones_like": 0, "rrelu_with_noise_functional": 1}
_SOFTMAX = {"aten._softmax.default": "softmax", "aten._log_softmax.default": "log-softmax"}


def export_graph(module: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """The graph of `module` (eval mode) for one clip of shape `input_shape` = (1, l, 3, h, w), constants in float64.

    A softmax or log-softmax at the very end is left out and named in the graph's `dropped`: it keeps the order of the
    classes, so a margin of logits has the sign of the margin of probabilities, and zero is still where the class changes.

    Raises ClassifierError where the module cannot be traced, does not give one logit vector, or gives other values than
    the graph; UnsupportedOperationError where it contains an operation without a bound rule.
    """
    program = trace(module, input_shape)
    constants = _constants(program)
    (clip,) = program.graph_signature.user_inputs
    lowering = Lowering(input_shape)
    result, dropped = _logits(program)
    known: dict[str, Any] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder":
            if node.name != clip and node.name not in constants:
                raise ClassifierError(f"the classifier takes {node.name} beside the clip; make it a weight or a buffer")
            known[node.name] = Reference(0) if node.name == clip else constants[node.name]
        elif node.op == "call_function" and node not in dropped:
            known[node.name] = _evaluate(lowering, node, known)
        elif node.op == "get_attr":
            known[node.name] = None  # a branch of control flow, which is refused where it is used
    output = _answer(lowering, known[result.name])
    nodes = pool_first(fuse_gates([Node(*emitted) for emitted in lowering.emitted[: output.index]]))
    graph = Graph(input_shape, nodes, tuple(_described(node) for node in dropped))
    check_agreement(module, graph, tuple(_SOFTMAX[str(node.target)] for node in dropped))
    return graph


def _answer(lowering: Lowering, output: Any) -> Reference:
    """`output`, if it is one vector of logits."""
    if output is None:
        raise ClassifierError(
            "the classifier gives true-or-false values or places of maxima; one vector of logits for a clip is needed"
        )
    if not isinstance(output, Reference):
        raise ClassifierError("the output of the classifier does not depend on its input")
    shape = lowering.shape(output)
    if len(shape) != 2 or shape[0] != 1 or shape[1] < 2:
        raise ClassifierError(
            f"the classifier gives values of shape {list(shape)}; one vector of at least two logits for a clip is needed, "
            "of shape [1, classes]: end with a linear layer over the classes"
        )
    return output


def _logits(program: Any) -> tuple[fx.Node, list[fx.Node]]:
    """The node of the logits, and the softmaxes over the classes that follow it, the last one first.

    Inputs that the classifier changes in place are outputs of the program too, but not its answer.
    """
    if program.graph_signature.buffers_to_mutate:
        changed = next(iter(program.graph_signature.buffers_to_mutate.values()))
        raise ClassifierError(
            f"the classifier changes its buffer {changed} while it works, so its answer depends on earlier clips"
        )
    names = program.graph_signature.user_outputs
    if len(names) != 1:
        raise ClassifierError(f"the classifier gives {len(names)} results; one vector of logits for a clip is needed")
    result, dropped = next((node for node in program.graph.nodes if node.name == names[0]), None), []
    while isinstance(result, fx.Node) and str(result.target) in _SOFTMAX:
        if result.meta["val"].dim() != 2 or result.args[1] not in (1, -1):
            break
        dropped.append(result)
        result = result.args[0]
    if result is None:
        raise ClassifierError("the output of the classifier does not depend on its input")
    return result, dropped


def _described(node: fx.Node) -> str:
    place = _place(node)
    return f"{_SOFTMAX[str(node.target)]} in {place}" if place else _SOFTMAX[str(node.target)]


def _constants(program: Any) -> dict[str, Tensor]:
    """Placeholder name -> parameter, buffer or lifted constant, in its own type."""
    signature = program.graph_signature
    sources = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    tensors = {name: program.state_dict.get(path, program.constants.get(path)) for name, path in sources.items()}
    lifted = signature.inputs_to_lifted_tensor_constants
    tensors |= {name: program.constants[path] for name, path in lifted.items()}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise ClassifierError(f"the classifier keeps {sources.get(name, name)} as something else than a tensor")
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
        return None if args[0] is None else args[0][args[1]]
    name = str(node.target)
    lowering.name, lowering.place = name, _place(node)
    _check_sources(lowering, node, known)
    value = node.meta.get("val")
    first = value[0] if isinstance(value, list | tuple) and value else value
    lowering.result_shape = tuple(first.shape) if isinstance(first, Tensor) else ()
    try:
        if not any(isinstance(leaf, Reference) for leaf in _leaves((args, kwargs))):
            # In the types of the module itself: in float64 a rounded constant, say an index, could become another one.
            compute: Any = node.target
            return compute(*args, **kwargs)
        if isinstance(value, Tensor) and not value.numel():
            return torch.zeros(value.shape, dtype=value.dtype)  # nothing of the clip is in it
        return _lowered(lowering, first, args, kwargs)
    except EngineError:
        raise
    except Exception as error:  # torch's functions and the rules' own checks of arguments raise many unrelated classes
        lowering.refuse(f"an operation in a form that its rule does not cover, {first_line(error)!r},")


def _lowered(lowering: Lowering, first: Any, args: Any, kwargs: Any) -> Any:
    """What the operation is lowered to; `first` stands for its (first) result, by shape and type."""
    if isinstance(first, Tensor) and first.dtype is torch.bool:
        return None  # a comparison: refused where it is used
    _check_type(lowering, first)
    if lowering.name not in LOWERINGS:
        lowering.refuse(f"the operation {lowering.name.removeprefix('aten.')}")
    wide_args, wide_kwargs = fx.node.map_aggregate((args, kwargs), _wide)
    result = LOWERINGS[lowering.name](lowering, *wide_args, **wide_kwargs)
    # A constant after all, such as zeros of the clip's shape, goes on in the module's own type.
    return result.to(first.dtype) if isinstance(result, Tensor) and isinstance(first, Tensor) else result


def _check_sources(lowering: Lowering, node: fx.Node, known: dict[str, Any]) -> None:
    """Refuse what rests on results that have no bounds, on memory nobody has written to, or on chance."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return  # control flow, which is refused under its own name
    if any(known[source.name] is None for source in node.all_input_nodes):
        lowering.refuse(
            "a result that bounds do not follow, such as a comparison or the place of a maximum", "do without it"
        )
    if torch.Tag.nondeterministic_seeded in node.target.tags and str(node.target) not in LOWERINGS:
        lowering.refuse("random numbers", "switch them off in eval mode")
    unread = _UNREAD.get(str(node.target).split(".")[1])
    read = [argument for place, argument in enumerate(node.args) if place != unread] + list(node.kwargs.values())
    if any(map(_is_unwritten, _leaves(read))):
        lowering.refuse("memory that was never written to, as of torch.empty", "begin with torch.zeros")


def _is_unwritten(value: Any) -> bool:
    """Whether `value` is a node that gives memory as it happens to be, and some of it."""
    if not isinstance(value, fx.Node) or not str(value.target).startswith(_UNWRITTEN):
        return False
    return bool(value.meta["val"].numel())


def _check_type(lowering: Lowering, value: Any) -> None:
    """Refuse what are no real numbers of 32 or 64 bits: the graph would be another function."""
    if not isinstance(value, Tensor) or value.dtype in _REAL:
        return
    kind = str(value.dtype).removeprefix("torch.")
    if value.is_complex():
        lowering.refuse(f"complex numbers as {kind}", "compute with real numbers")
    if value.is_floating_point():
        lowering.refuse(f"values of the clip in lower precision as {kind}", "export the network in float32")
    lowering.refuse(f"whole numbers as {kind} that depend on the clip", "compute with real numbers")


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
