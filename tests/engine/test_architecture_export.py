"""Every named architecture is made of operations that the engine can bound, and its graph computes the same logits."""

import pytest
import torch

from verification.engine.network import ARCHITECTURES
from verification.engine.network.export import export_graph


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_graph_computes_the_logits_of_the_module(name: str) -> None:
    torch.manual_seed(0)
    network = ARCHITECTURES[name].build({}, frames=8, height=64, width=64, classes=7).eval()
    clip = torch.rand(1, 8, 3, 64, 64)

    graph = export_graph(network, (1, 8, 3, 64, 64))

    with torch.no_grad():
        torch.testing.assert_close(graph(clip.double()).float(), network(clip), rtol=1e-4, atol=1e-5)
