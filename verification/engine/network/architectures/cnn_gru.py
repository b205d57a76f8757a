"""`cnn_gru`: a small network for each frame, a GRU over the frames, a linear layer (Cho et al., EMNLP 2014)."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from verification.engine.network.architectures.base import Architecture
from verification.engine.network.architectures.frame_features import FrameFeatures, FrameFeaturesConfig


class CnnGruNetwork(FrameFeatures):
    """Clips (n, l, 3, h, w) in [0, 1] to logits (n, classes)."""

    def __init__(self, config: FrameFeaturesConfig, grid: tuple[int, int], classes: int) -> None:
        super().__init__(config, grid)
        self.gru = nn.GRU(config.features, config.hidden, config.layers, batch_first=True)
        self.head = nn.Linear(config.hidden, classes)

    def forward(self, clips: Tensor) -> Tensor:
        states, _ = self.gru(self.sequence(clips))
        logits: Tensor = self.head(states[:, -1])
        return logits


class CnnGru(Architecture):
    """Builds `CnnGruNetwork`."""

    name: ClassVar[str] = "cnn_gru"
    outputs: ClassVar[str] = "head.bias"

    def build(self, config: Mapping[str, object], *, frames: int, height: int, width: int, classes: int) -> nn.Module:
        parameters = FrameFeaturesConfig.read(self.name, config)
        return CnnGruNetwork(parameters, parameters.grid(height, width), classes)
