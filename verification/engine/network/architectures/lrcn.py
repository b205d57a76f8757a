"""`lrcn`: convolutions with max-pooling for each frame, an LSTM over the frames, a linear layer (Donahue et al., CVPR 2015)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from verification.engine.errors import ClassifierError
from verification.engine.network.architectures.base import Architecture, Config, whole, wholes


@dataclass(frozen=True)
class LrcnConfig(Config):
    """`channels`, `pools`: of each convolution in turn and of the max-pooling after it; all share the odd `kernel`."""

    channels: tuple[int, ...] = wholes((16, 32, 64, 64), 1, 1024)
    pools: tuple[int, ...] = wholes((4, 4, 2, 2), 1, 16)
    kernel: int = whole(3, 1, 63)
    hidden: int = whole(32, 1, 4096)
    layers: int = whole(1, 1, 4)


class LrcnNetwork(nn.Module):
    """Clips (n, l, 3, h, w) in [0, 1] to logits (n, classes). Features are flattened with the channels last, as Keras does."""

    def __init__(self, config: LrcnConfig, grid: tuple[int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, pool in zip((3, *config.channels), config.channels, config.pools, strict=False):
            layers += [
                nn.Conv2d(before, after, config.kernel, padding=config.kernel // 2),
                nn.ReLU(),
                nn.MaxPool2d(pool),
            ]
        self.frame = nn.Sequential(*layers)
        features = config.channels[-1] * grid[0] * grid[1]
        self.lstm = nn.LSTM(features, config.hidden, config.layers, batch_first=True)
        self.head = nn.Linear(config.hidden, classes)

    def forward(self, clips: Tensor) -> Tensor:
        count, length = clips.shape[:2]
        pictures: Tensor = self.frame(clips.flatten(0, 1))
        features = pictures.permute(0, 2, 3, 1).reshape(count, length, -1)
        states, _ = self.lstm(features)
        logits: Tensor = self.head(states[:, -1])
        return logits


class Lrcn(Architecture):
    """Builds `LrcnNetwork`."""

    name: ClassVar[str] = "lrcn"
    outputs: ClassVar[str] = "head.bias"

    def build(self, config: Mapping[str, object], *, frames: int, height: int, width: int, classes: int) -> nn.Module:
        parameters = LrcnConfig.read(self.name, config)
        if len(parameters.pools) != len(parameters.channels):
            raise ClassifierError(
                f"the architecture {self.name} needs one entry in 'pools' for each in 'channels', "
                f"not {len(parameters.pools)} for {len(parameters.channels)}"
            )
        if parameters.kernel % 2 == 0:
            raise ClassifierError(f"the architecture {self.name} needs an odd 'kernel', not {parameters.kernel}")
        sides = [height, width]
        for pool in parameters.pools:
            sides = [side // pool for side in sides]
        if min(sides) < 1:
            raise ClassifierError(
                f"nothing is left of frames of {height}x{width} pixels after the pools "
                f"{', '.join(map(str, parameters.pools))}; use larger frames or smaller pools"
            )
        return LrcnNetwork(parameters, (sides[0], sides[1]), classes)
