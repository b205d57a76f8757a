"""Networks become graphs that compute the same, and what cannot be bounded is refused with its name and place."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.engine.bounding import NETWORKS, Chain, Recurrent, make_graph, make_network
from tests.engine.networks import HEIGHT, LENGTH, WIDTH
from verification.engine.errors import ClassifierError, UnsupportedOperationError
from verification.engine.network.export import export_graph
from verification.engine.network.lowering import LOWERINGS

SHAPE = (1, LENGTH, 3, HEIGHT, WIDTH)


class Map(nn.Module):
    """A function of the clip as a module, so that it has a place."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, clip: Tensor) -> Any:
        return self.function(clip)


#: Networks whose operations are bounded in others already.
MORE: dict[str, Callable[[], nn.Module]] = {
    "gru, stacked and bidirectional": lambda: Recurrent(nn.GRU, num_layers=2, bidirectional=True),
    "instance norm with statistics": lambda: Chain(nn.Conv3d(3, 4, 3), nn.InstanceNorm3d(4, track_running_stats=True)),
    "nothing but dropout": lambda: Chain(nn.Dropout3d(), nn.Conv3d(3, 4, 3), nn.AlphaDropout()),
    "changed in place": lambda: Chain(nn.ELU(inplace=True), nn.Hardswish(inplace=True)),
    "circular borders that crop": lambda: Chain(
        nn.CircularPad2d((0, -1, 2, -1)), nn.CircularPad2d((-2, 3, 1, 0)), per_frame=True
    ),
    "division by a whole number": lambda: Chain(Map(lambda x: x / torch.tensor([3]))),
    "parts without elements": lambda: Chain(Map(lambda x: torch.cat([x[..., 3:2], *x.split([0, WIDTH], -1)], -1))),
    "memory that is filled": lambda: Chain(Map(lambda x: torch.empty_like(x).copy_(x) + torch.empty(1).fill_(3))),
    "single numbers": lambda: Chain(Map(lambda x: x * x.sum().permute(()).expand(()) + x.mean().permute(()))),
    "bias of every row": lambda: Chain(
        Map(lambda x: torch.addmm(torch.ones(9, 4).to(x), x[0, 0, 0], torch.ones(10, 4).to(x)))
    ),
    "double precision": lambda: Chain(Map(lambda x: (x.double() ** 1.0).to(x.dtype))),
}


@pytest.mark.parametrize("name", [*NETWORKS, *MORE])
def test_the_graph_computes_what_the_module_computes(name: str) -> None:
    module = make_network(name, seed=3) if name in NETWORKS else MORE[name]().eval()
    graph = make_graph(name, seed=3) if name in NETWORKS else export_graph(module, SHAPE)
    clip = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(graph(clip), module.double()(clip), rtol=1e-12, atol=1e-12)


class Head(nn.Module):
    """A linear head over what `inner` makes of the clip."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        with torch.no_grad():
            self.head = nn.Linear(inner(torch.rand(SHAPE)).reshape(1, -1).shape[1], 3)

    def forward(self, clip: Tensor) -> Tensor:
        return self.head(self.inner(clip).reshape(1, -1))


def chosen(clip: Tensor) -> Tensor:
    return torch.cond(clip.sum() > 0, lambda x: x + 1, lambda x: x - 1, (clip,))


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "unknown": (Map(torch.sin), "the operation sin"),
    "division": (Map(lambda x: x / (x + 1)), "a division by a value"),
    "reciprocal": (Map(lambda x: 1 / x), "the operation reciprocal"),
    "layer norm": (nn.LayerNorm(WIDTH), "a layer normalisation"),
    "group norm": (nn.Sequential(nn.Flatten(0, 1), nn.GroupNorm(1, 3)), "a group normalisation"),
    "instance norm": (nn.Sequential(nn.Flatten(0, 1), nn.InstanceNorm2d(3)), "instance normalisation"),
    "rms norm": (nn.RMSNorm(WIDTH), "a root-mean-square normalisation"),
    "local response norm": (nn.Sequential(nn.Flatten(0, 1), nn.LocalResponseNorm(2)), "the power 0.75"),
    "variance": (Map(lambda x: x - x.var()), "a variance"),
    "norm": (Map(lambda x: functional.normalize(x, dim=2)), "a norm of values"),
    "attention": (Map(lambda x: functional.scaled_dot_product_attention(x, x, x)), "attention"),
    "product of nodes": (Map(lambda x: x @ x.transpose(3, 4)), "a matrix product of two tensors"),
    "inner softmax": (nn.Softmax(-1), "a softmax before the last operation"),
    "root": (Map(lambda x: x**0.5), "the power 0.5"),
    "branches": (Map(chosen), "control flow that depends on the clip"),
    "choice": (Map(lambda x: torch.where(x > 0.5, x, -x)), "a comparison"),
    "whole numbers": (Map(lambda x: x.long().float()), "whole numbers as int64"),
    "place of a maximum": (Map(lambda x: x + x.max(-1, keepdim=True)[1]), "the place of a maximum"),
    "complex numbers": (Map(lambda x: torch.fft.fft(x).real), "complex numbers as complex64"),
    "half precision": (Map(lambda x: x.half().float()), "lower precision as float16"),
    "random numbers": (Map(lambda x: x + torch.rand(WIDTH)), "random numbers"),
    "noise": (Map(lambda x: x + torch.randn_like(x)), "random numbers"),
    "infinite constant": (Map(lambda x: x + 1 / torch.zeros(1)), "a constant that is not finite"),
    "limits in the wrong order": (Map(lambda x: x.clamp(0.7, 0.3)), "a clamp to the limits"),
    "weights that depend on the clip": (
        Map(lambda x: functional.conv2d(x[0], x[0, :2, :, :2, :2])),
        "a convolution whose weights depend on the clip",
    ),
    "bias that depends on the clip": (
        Map(lambda x: functional.conv2d(x[0], torch.ones(2, 3, 2, 2), x[0, 0, 0, 0, :2])),
        "a convolution whose weights depend on the clip",
    ),
    "division by zero": (Map(lambda x: x / 0), "a division by zero"),
    "no power": (Map(lambda x: x ** float("nan")), "the power nan"),
    "endless power": (Map(lambda x: x ** float("inf")), "the power inf"),
    "unwritten memory": (Map(lambda x: x + torch.empty(WIDTH)), "memory that was never written to"),
    "unwritten memory like the clip": (Map(lambda x: x + torch.empty_like(x)), "memory that was never written to"),
    "new unwritten memory": (Map(lambda x: x + x.new_empty(WIDTH)), "memory that was never written to"),
    "copied unwritten memory": (
        Map(lambda x: x + torch.zeros(WIDTH).copy_(torch.empty(WIDTH))),
        "memory that was never written to",
    ),
    "sorting": (Map(lambda x: x.sort(-1).values), "the operation sort"),
    "limits in numbers": (Map(lambda x: functional.threshold(x, float("inf"), 0.0)), "a threshold that is not finite"),
    "rolling everything": (Map(lambda x: x.roll(1)), "a roll over all axes"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_has_no_rule_is_refused_with_name_and_place(name: str) -> None:
    module, words = REFUSED[name]
    with pytest.raises(UnsupportedOperationError, match=rf"{words}.*\(.* in inner.*\)"):
        export_graph(Head(module), SHAPE)


class Unbatched(nn.Module):
    """Pools frames without a batch axis."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, clip: Tensor) -> Tensor:
        return self.pool(clip[0, 0])


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.MaxPool2d(2)])
def test_pooling_without_a_batch_axis_is_refused(pool: nn.Module) -> None:
    with pytest.raises(UnsupportedOperationError, match="without a batch axis"):
        export_graph(Head(Unbatched(pool)), SHAPE)


@pytest.mark.parametrize("function", [lambda x: x if x.sum() > 0 else -x, lambda x: x * float(x.max())])
def test_branching_of_python_on_the_clip_is_refused(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ClassifierError, match=r"in inner, an if, a loop.* depends on values of the clip; compute with"):
        export_graph(Head(Map(function)), SHAPE)


def test_what_torch_cannot_follow_is_refused_with_its_place() -> None:
    with pytest.raises(ClassifierError, match=r"in inner, .*numpy"):
        export_graph(Head(Map(lambda x: torch.from_numpy(x.numpy() * 2))), SHAPE)


@pytest.mark.parametrize("column", [WIDTH, -WIDTH - 1])
def test_an_index_beyond_the_end_is_refused(column: int) -> None:
    # Joined with that of the row it was taken for an element of another row.
    rows, columns = torch.tensor([1, 1]), torch.tensor([0, column])
    with pytest.raises(UnsupportedOperationError, match="an index beyond the end"):
        export_graph(Map(lambda x: x[:, 0, 0][:, rows, columns]), SHAPE)


class Counting(nn.Module):
    """Scales its logits by how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, clip: Tensor) -> Tensor:
        self.calls += 1
        return clip.sum((1, 3, 4)) * self.calls


def test_a_graph_that_computes_something_else_is_refused() -> None:
    with pytest.raises(ClassifierError, match=r"is another function than the classifier: .* differ by"):
        export_graph(Counting(), SHAPE)


def test_a_wrong_rule_is_found_by_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOWERINGS, "aten.sigmoid.default", LOWERINGS["aten.tanh.default"])
    with pytest.raises(ClassifierError, match="is another function than the classifier"):
        export_graph(nn.Sequential(Head(nn.Sigmoid()), nn.Softmax(1)), SHAPE)


def test_errors_of_a_rule_are_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no such form")

    monkeypatch.setitem(LOWERINGS, "aten.sigmoid.default", fails)
    with pytest.raises(UnsupportedOperationError, match=r"a form that its rule.*no such form.*sigmoid.* in inner"):
        export_graph(Head(nn.Sigmoid()), SHAPE)


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ClassifierError, match="not finite numbers on clips"):
        export_graph(Head(Map(lambda x: (x * 1e30).exp())), SHAPE)


def test_weights_that_are_not_finite_are_refused_by_name() -> None:
    module = Head(nn.Identity())
    with torch.no_grad():
        module.head.weight[0, 0] = float("nan")
    with pytest.raises(ClassifierError, match=r"head\.weight.*not finite"):
        export_graph(module, SHAPE)


OUTPUTS: list[Callable[[Tensor], Tensor]] = [
    lambda x: x,
    lambda x: x.flatten(2),
    lambda x: x.sum(),
    lambda x: x.flatten()[:3],
    lambda x: x.flatten(1)[:, :1],
]


@pytest.mark.parametrize("function", OUTPUTS)
def test_an_output_that_is_not_one_vector_of_logits_is_refused(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ClassifierError, match=r"of shape \[.*one vector of at least two logits.*end with"):
        export_graph(Map(function), SHAPE)


def test_classes_instead_of_logits_are_refused() -> None:
    with pytest.raises(UnsupportedOperationError, match="whole numbers as int64"):
        export_graph(Map(lambda x: x.flatten(1).argmax(1)), SHAPE)
    with pytest.raises(ClassifierError, match="true-or-false"):
        export_graph(Map(lambda x: x.flatten(1) > 0.5), SHAPE)


def test_several_results_are_refused() -> None:
    with pytest.raises(ClassifierError, match="gives 2 results"):
        export_graph(Map(lambda x: (x.flatten(1), x)), SHAPE)


@pytest.mark.parametrize(("last", "name"), [(nn.Softmax(-1), "softmax"), (nn.LogSoftmax(1), "log-softmax")])
def test_a_softmax_at_the_end_is_dropped_and_named(last: nn.Module, name: str) -> None:
    plain = Head(nn.Identity())
    clip = torch.rand(SHAPE, dtype=torch.float64)
    graph = export_graph(nn.Sequential(plain, last), SHAPE)
    assert graph.dropped == (f"{name} in 1",)
    assert graph.cast(torch.float32, torch.device("cpu")).dropped == graph.dropped
    with torch.no_grad():
        assert torch.equal(graph(clip), export_graph(plain, SHAPE)(clip))


def test_a_softmax_over_another_axis_than_the_classes_is_refused() -> None:
    with pytest.raises(UnsupportedOperationError, match="a softmax before the last operation"):
        export_graph(nn.Sequential(Head(nn.Identity()), nn.Softmax(0)), SHAPE)


def test_an_output_that_ignores_the_clip_is_refused() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([[1.0, 2.0]]))

        def forward(self, clip: Tensor) -> Tensor:
            return self.logits * 2

    with pytest.raises(ClassifierError, match="does not depend on its input"):
        export_graph(Constant(), SHAPE)
