"""What `cnn_lstm` and `cnn_gru` share: a small convolutional network for each frame, and a linear layer behind it."""

from dataclasses import dataclass

from torch import Tensor, nn

from verification.engine.network.architectures.base import Config, whole, wholes


@dataclass(frozen=True)
class FrameFeaturesConfig(Config):
    """`channels`: of each convolution in turn; all share `kernel` and `stride`. `hidden`, `layers`: of the recurrent part."""

    channels: tuple[int, ...] = wholes((8, 16), 1, 1024)
    kernel: int = whole(5, 1, 63)
    stride: int = whole(2, 1, 63)
    features: int = whole(32, 1, 4096)
    hidden: int = whole(32, 1, 4096)
    layers: int = whole(1, 1, 4)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of what the convolutions make of a frame of that size, in pixels."""
        padding = 2 * (self.kernel // 2)
        sides = [height, width]
        for _ in self.channels:
            sides = [(side + padding - self.kernel) // self.stride + 1 for side in sides]
        return sides[0], sides[1]


class FrameFeatures(nn.Module):
    """Base of networks that read a clip frame by frame; the first layers, named `frame` and `features`."""

    def __init__(self, config: FrameFeaturesConfig, grid: tuple[int, int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *config.channels), config.channels, strict=False):
            convolution = nn.Conv2d(before, after, config.kernel, config.stride, config.kernel // 2)
            layers += [convolution, nn.ReLU()]
        self.frame = nn.Sequential(*layers)
        self.features = nn.Linear(config.channels[-1] * grid[0] * grid[1], config.features)

    def sequence(self, clips: Tensor) -> Tensor:
        """Clips (n, l, 3, h, w) in [0, 1] to features (n, l, f)."""
        count, length = clips.shape[:2]
        pictures: Tensor = self.frame(clips.flatten(0, 1)).flatten(1)
        features: Tensor = self.features(pictures).view(count, length, -1)
        return features
