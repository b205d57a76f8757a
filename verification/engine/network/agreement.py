"""A guard behind the export: the graph must compute what the module computes, or bounds of it say nothing."""

import math

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from verification.engine.errors import ClassifierError
from verification.engine.network.graph import Graph

_SHARE = 1e-5  # of the largest value: what float32 may lose on its way through a network
_SLACK = 100.0  # and more where the graph itself loses more in float32


def check_agreement(module: nn.Module, graph: Graph, dropped: tuple[str, ...]) -> None:
    """Compare `module` (float32) and `graph` on three clips of random numbers.

    `dropped`: the names of the functions over the classes that the graph left out, the last one first ("softmax" or
    "log-softmax"). What the graph loses in float32 against float64 measures how much rounding may be to blame.

    Raises ClassifierError with the largest difference where it is more than rounding explains, and where a value is no
    finite number.
    """
    for clip in _clips(graph.input_shape):
        with torch.no_grad():
            expected, exact = _answer(module, clip), _completed(graph(clip.double()), dropped)
        if not all(bool(torch.isfinite(values).all()) for values in (expected, exact)):
            raise ClassifierError(
                "the classifier gives values that are not finite numbers on clips of random numbers; mend its weights"
            )
        difference, allowed = float((expected - exact).abs().max()), _SHARE * float(exact.abs().max())
        if difference > allowed:
            allowed += _SLACK * _lost(graph, clip, exact, dropped)
        if not difference <= allowed:
            raise ClassifierError(
                f"the graph of the classifier is another function than the classifier: on a clip of random numbers they "
                f"differ by {difference:.2g}, of which rounding explains {allowed:.2g}; check that the classifier keeps "
                "nothing from one call to the next, and report it if it does not"
            )


def _lost(graph: Graph, clip: Tensor, exact: Tensor, dropped: tuple[str, ...]) -> float:
    """By how much float32 changes the graph's values; zero where it overflows, which explains nothing."""
    with torch.no_grad():
        rounded = _completed(graph.cast(torch.float32, torch.device("cpu"))(clip), dropped)
    lost = float((rounded.double() - exact).abs().max())
    return lost if math.isfinite(lost) else 0.0


def _clips(shape: tuple[int, ...]) -> list[Tensor]:
    """Noise, noise of little contrast, and frames of one value each with some noise; all in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    noise, other, faint = (torch.rand(shape, generator=generator) for _ in range(3))
    frames = torch.rand((*shape[:2], 1, 1, 1), generator=generator)
    return [noise, 0.4 + 0.2 * other, 0.9 * frames + 0.1 * faint]


def _answer(module: nn.Module, clip: Tensor) -> Tensor:
    """The module's one result in float64; the module may change the clip that it gets in place."""
    try:
        results = _pytree.tree_leaves(module(clip.clone()))
    except Exception as error:  # a module raises whatever it likes
        raise ClassifierError(f"the classifier fails on a clip of random numbers: {error}") from error
    values = [result for result in results if isinstance(result, Tensor)]
    return values[0].detach().double()


def _completed(logits: Tensor, dropped: tuple[str, ...]) -> Tensor:
    """The logits with the dropped functions applied after all."""
    for name in reversed(dropped):
        logits = logits.softmax(1) if name == "softmax" else logits.log_softmax(1)
    return logits
