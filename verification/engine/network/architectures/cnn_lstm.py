"""`cnn_lstm`: a small network for each frame, an LSTM over the frames, a linear layer: a common shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from verification.engine.network.architectures.base import Architecture, Config, whole, wholes


@dataclass(frozen=True)
class CnnLstmConfig(Config):
    """`channels`: of each convolution in turn; all share `kernel` and `stride`. `layers`: of the LSTM."""

    channels: tuple[int, ...] = wholes((8, 16), 1, 1024)
    kernel: int = whole(5, 1, 63)
    stride: int = whole(2, 1, 63)
    features: int = whole(32, 1, 4096)
    hidden: int = whole(32, 1, 4096)
    layers: int = whole(1, 1, 4)


class CnnLstmNetwork(nn.Module):
    """Clips (n, l, 3, h, w) in [0, 1] to logits (n, classes)."""

    def __init__(self, config: CnnLstmConfig, grid: tuple[int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *config.channels), config.channels, strict=False):
            convolution = nn.Conv2d(before, after, config.kernel, config.stride, config.kernel // 2)
            layers += [convolution, nn.ReLU()]
        self.frame = nn.Sequential(*layers)
        self.features = nn.Linear(config.channels[-1] * grid[0] * grid[1], config.features)
        self.lstm = nn.LSTM(config.features, config.hidden, config.layers, batch_first=True)
        self.head = nn.Linear(config.hidden, classes)

    def forward(self, clips: Tensor) -> Tensor:
        count, length = clips.shape[:2]
        pictures: Tensor = self.frame(clips.flatten(0, 1)).flatten(1)
        states, _ = self.lstm(self.features(pictures).view(count, length, -1))
        logits: Tensor = self.head(states[:, -1])
        return logits


class CnnLstm(Architecture):
    """Builds `CnnLstmNetwork`."""

    name: ClassVar[str] = "cnn_lstm"
    outputs: ClassVar[str] = "head.bias"

    def build(self, config: Mapping[str, object], *, frames: int, height: int, width: int, classes: int) -> nn.Module:
        parameters = CnnLstmConfig.read(self.name, config)
        sides = [height, width]
        padding = 2 * (parameters.kernel // 2)
        for _ in parameters.channels:
            sides = [(side + padding - parameters.kernel) // parameters.stride + 1 for side in sides]
        return CnnLstmNetwork(parameters, (sides[0], sides[1]), classes)
