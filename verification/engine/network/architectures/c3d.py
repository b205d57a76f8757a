"""`c3d`: convolutions over space and time with max-pooling, then linear layers (Tran et al., ICCV 2015).

The defaults make a small network that trains on a laptop. That of the paper has `channels` 64, 128, 256, 512, 512,
`convolutions` 1, 1, 2, 2, 2 and `hidden` 4096, 4096, for clips of 16 frames of 112x112 pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from verification.engine.errors import ClassifierError
from verification.engine.network.architectures.base import Architecture, Config, whole, wholes


@dataclass(frozen=True)
class C3dConfig(Config):
    """`channels`, `convolutions`: of each block in turn, and how many convolutions it has before its max-pooling.

    All convolutions share the odd `kernel`, in space and time. `hidden`: the widths of the linear layers before the last.
    """

    channels: tuple[int, ...] = wholes((8, 16, 32), 1, 1024)
    convolutions: tuple[int, ...] = wholes((1, 1, 1), 1, 4)
    kernel: int = whole(3, 1, 15)
    hidden: tuple[int, ...] = wholes((64,), 1, 8192)

    def grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """What is left of a clip after all blocks: the first halves the picture alone, as in the paper, the others time too."""
        blocks = len(self.channels)
        return frames // 2 ** (blocks - 1), height // 2**blocks, width // 2**blocks


class C3dNetwork(nn.Module):
    """Clips (n, l, 3, h, w) in [0, 1] to logits (n, classes)."""

    def __init__(self, config: C3dConfig, grid: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for block, (after, count) in enumerate(zip(config.channels, config.convolutions, strict=True)):
            for _ in range(count):
                layers += [nn.Conv3d(before, after, config.kernel, padding=config.kernel // 2), nn.ReLU()]
                before = after
            layers.append(nn.MaxPool3d((1, 2, 2) if block == 0 else 2))
        self.blocks = nn.Sequential(*layers)
        widths = (before * grid[0] * grid[1] * grid[2], *config.hidden)
        dense: list[nn.Module] = []
        for wide, narrow in zip(widths, config.hidden, strict=False):
            dense += [nn.Linear(wide, narrow), nn.ReLU()]
        self.dense = nn.Sequential(*dense)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, clips: Tensor) -> Tensor:
        volumes: Tensor = self.blocks(clips.transpose(1, 2))
        logits: Tensor = self.head(self.dense(volumes.flatten(1)))
        return logits


class C3d(Architecture):
    """Builds `C3dNetwork`."""

    name: ClassVar[str] = "c3d"
    outputs: ClassVar[str] = "head.bias"

    def build(self, config: Mapping[str, object], *, frames: int, height: int, width: int, classes: int) -> nn.Module:
        parameters = C3dConfig.read(self.name, config)
        if len(parameters.convolutions) != len(parameters.channels):
            raise ClassifierError(
                f"the architecture {self.name} needs one entry in 'convolutions' for each in 'channels', "
                f"not {len(parameters.convolutions)} for {len(parameters.channels)}"
            )
        if parameters.kernel % 2 == 0:
            raise ClassifierError(f"the architecture {self.name} needs an odd 'kernel', not {parameters.kernel}")
        grid = parameters.grid(frames, height, width)
        if min(grid) < 1:
            blocks = len(parameters.channels)
            raise ClassifierError(
                f"nothing is left of {frames} frames of {height}x{width} pixels after the {blocks} blocks of the "
                f"architecture {self.name}; use at least {2 ** (blocks - 1)} frames of {2**blocks}x{2**blocks} pixels, "
                "or fewer channels"
            )
        return C3dNetwork(parameters, grid, classes)
