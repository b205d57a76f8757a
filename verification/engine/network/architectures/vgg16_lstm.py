"""`vgg16_lstm`: the convolutions of VGG16 for each frame, an LSTM over the frames, a linear layer: the classifier of the paper.

Weights of the convolutions have the names that they have in torchvision's VGG16, `features.0.weight` and so on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from verification.engine.errors import ClassifierError
from verification.engine.network.architectures.base import Architecture, Config, whole

#: The channels of each convolution; after each group comes a max-pooling that halves the picture (Simonyan and Zisserman, 2015).
_GROUPS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_REDUCTION = 2 ** len(_GROUPS)


@dataclass(frozen=True)
class Vgg16LstmConfig(Config):
    """`hidden`, `layers`: of the LSTM."""

    hidden: int = whole(512, 1, 4096)
    layers: int = whole(1, 1, 4)


class Vgg16LstmNetwork(nn.Module):
    """Clips (n, l, 3, h, w) in [0, 1] to logits (n, classes)."""

    def __init__(self, config: Vgg16LstmConfig, grid: tuple[int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for group in _GROUPS:
            for channels in group:
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
                before = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.lstm = nn.LSTM(before * grid[0] * grid[1], config.hidden, config.layers, batch_first=True)
        self.head = nn.Linear(config.hidden, classes)

    def describe(self, clips: Tensor) -> Tensor:
        """Features (n, l, f) of the frames of clips (n, l, 3, h, w)."""
        count, length = clips.shape[:2]
        pictures: Tensor = self.features(clips.flatten(0, 1))
        return pictures.reshape(count, length, -1)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (n, classes) for features (n, l, f): the part that is trained where the convolutions are given."""
        states, _ = self.lstm(features)
        logits: Tensor = self.head(states[:, -1])
        return logits

    def forward(self, clips: Tensor) -> Tensor:
        return self.classify(self.describe(clips))


class Vgg16Lstm(Architecture):
    """Builds `Vgg16LstmNetwork`."""

    name: ClassVar[str] = "vgg16_lstm"
    outputs: ClassVar[str] = "head.bias"

    def build(self, config: Mapping[str, object], *, frames: int, height: int, width: int, classes: int) -> nn.Module:
        parameters = Vgg16LstmConfig.read(self.name, config)
        grid = (height // _REDUCTION, width // _REDUCTION)
        if min(grid) < 1:
            raise ClassifierError(
                f"frames of {height}x{width} pixels are too small for the architecture {self.name}, which halves them "
                f"{len(_GROUPS)} times; use frames of {_REDUCTION}x{_REDUCTION} pixels or more"
            )
        return Vgg16LstmNetwork(parameters, grid, classes)
