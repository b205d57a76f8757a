"""Networks become graphs that compute the same, and what cannot be bounded is refused with its name and place."""

import pytest
import torch
from torch import Tensor, nn

from tests.engine.bounding import HEIGHT, LENGTH, NETWORKS, WIDTH, make_network
from verification.engine.errors import ClassifierError, UnsupportedOperationError
from verification.engine.network.export import export_graph

SHAPE = (1, LENGTH, 3, HEIGHT, WIDTH)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_graph_computes_what_the_module_computes(name: str) -> None:
    module = make_network(name, seed=1)
    graph = export_graph(module, SHAPE)
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


class Exponential(nn.Module):
    def forward(self, clip: Tensor) -> Tensor:
        return clip.exp()


class Quotient(nn.Module):
    def forward(self, clip: Tensor) -> Tensor:
        return clip / (clip + 1)


class Branching(nn.Module):
    def forward(self, clip: Tensor) -> Tensor:
        return clip if clip.sum() > 0 else -clip


def test_an_unknown_operation_is_refused_with_name_and_place() -> None:
    with pytest.raises(UnsupportedOperationError, match=r"exp.*inner"):
        export_graph(Head(Exponential()), SHAPE)


def test_a_division_by_a_value_of_the_clip_is_refused() -> None:
    with pytest.raises(UnsupportedOperationError, match="division"):
        export_graph(Head(Quotient()), SHAPE)


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


def test_control_flow_that_depends_on_the_clip_is_refused() -> None:
    with pytest.raises(ClassifierError, match="cannot be turned into a graph"):
        export_graph(Head(Branching()), SHAPE)


def test_weights_that_are_not_finite_are_refused_by_name() -> None:
    module = Head(nn.Identity())
    with torch.no_grad():
        module.head.weight[0, 0] = float("nan")
    with pytest.raises(ClassifierError, match=r"head\.weight.*not finite"):
        export_graph(module, SHAPE)


def test_an_output_that_is_not_one_vector_of_logits_is_refused() -> None:
    with pytest.raises(ClassifierError, match=r"one vector of at least two logits"):
        export_graph(nn.Flatten(2), SHAPE)


def test_an_output_that_ignores_the_clip_is_refused() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([[1.0, 2.0]]))

        def forward(self, clip: Tensor) -> Tensor:
            return self.logits * 2

    with pytest.raises(ClassifierError, match="does not depend on its input"):
        export_graph(Constant(), SHAPE)
