"""No value of a named architecture leaves its proven bound, at any clip that a change of the flow can make."""

import pytest
import torch

from tests.engine.bounding import TOLERANCE, flow_region, worst_violation
from verification.engine.network import ARCHITECTURES
from verification.engine.network.export import export_graph
from verification.engine.perturbation import Norm
from verification.engine.relaxation import Rounding

#: Small enough that every element is bounded in seconds.
SMALL: dict[str, dict[str, object]] = {
    "c3d": {"channels": [2, 3], "convolutions": [1, 1], "hidden": [5]},
    "camera_motion": {
        "channels": 2,
        "kernel": 3,
        "stride": 3,
        "pool": 2,
        "kernel_frames": 2,
        "features": 4,
        "hidden": 4,
    },
    "cnn_gru": {"channels": [3], "features": 4, "hidden": 4, "stride": 4},
    "cnn_lstm": {"channels": [3], "features": 4, "hidden": 4, "stride": 4},
    "convlstm": {"channels": 2, "hidden": 2, "stride": 3, "pool": 2},
    "lrcn": {"channels": [3], "pools": [4], "hidden": 4},
}
FRAMES, HEIGHT, WIDTH = 4, 8, 10


@pytest.mark.parametrize("norm", [Norm.L2, Norm.LINF])
@pytest.mark.parametrize("name", SMALL)
def test_bounds_hold(name: str, norm: Norm) -> None:
    torch.manual_seed(1)
    network = ARCHITECTURES[name].build(SMALL[name], frames=FRAMES, height=HEIGHT, width=WIDTH, classes=3).eval()
    graph = export_graph(network, (1, FRAMES, 3, HEIGHT, WIDTH))
    frames = torch.rand(FRAMES, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(2))

    region, points = flow_region(frames, "dense", norm, 0.1 if norm is Norm.LINF else 1.0, Rounding(rigorous=True))

    assert worst_violation(graph, region, points, seed=7, count=4) <= TOLERANCE[True]
