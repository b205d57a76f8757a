"""`convlstm`: a convolution for each frame, a convolutional LSTM over the frames, a linear layer (Shi et al., NeurIPS 2015)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from verification.engine.errors import ClassifierError
from verification.engine.network.architectures.base import Architecture, Config, whole


@dataclass(frozen=True)
class ConvLstmConfig(Config):
    """`channels`, `kernel`, `stride`: of the convolution for each frame. `hidden`: channels of the state.

    `hidden_kernel`: the odd kernel of the convolution inside the cell. `pool`: side of the regions over which the last
    state is averaged, in its own elements.
    """

    channels: int = whole(8, 1, 1024)
    kernel: int = whole(5, 1, 63)
    stride: int = whole(4, 1, 63)
    hidden: int = whole(8, 1, 1024)
    hidden_kernel: int = whole(3, 1, 31)
    pool: int = whole(2, 1, 255)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the state for frames of that size, in pixels."""
        padding = 2 * (self.kernel // 2)
        rows, columns = ((side + padding - self.kernel) // self.stride + 1 for side in (height, width))
        return rows, columns


class ConvLstmCell(nn.Module):
    """An LSTM whose matrices are convolutions: state and memory are pictures. Without peepholes."""

    def __init__(self, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(channels + hidden, 4 * hidden, kernel, padding=kernel // 2)

    def forward(self, picture: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The next state and memory, (n, hidden, h, w), from those before and a picture (n, channels, h, w)."""
        entering, kept, shown, new = self.gates(torch.cat([picture, state], 1)).chunk(4, 1)
        memory = torch.sigmoid(kept) * memory + torch.sigmoid(entering) * torch.tanh(new)
        return torch.sigmoid(shown) * torch.tanh(memory), memory


class ConvLstmNetwork(nn.Module):
    """Clips (n, l, 3, h, w) in [0, 1] to logits (n, classes)."""

    def __init__(self, config: ConvLstmConfig, grid: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.frame = nn.Conv2d(3, config.channels, config.kernel, config.stride, config.kernel // 2)
        self.relu = nn.ReLU()
        self.cell = ConvLstmCell(config.channels, config.hidden, config.hidden_kernel)
        self.pool = nn.AvgPool2d(config.pool)
        regions = (grid[0] // config.pool) * (grid[1] // config.pool)
        self.head = nn.Linear(config.hidden * regions, classes)
        self.hidden, self.grid = config.hidden, grid

    def forward(self, clips: Tensor) -> Tensor:
        count, length = clips.shape[:2]
        pictures = self.relu(self.frame(clips.flatten(0, 1)))
        pictures = pictures.view(count, length, *pictures.shape[1:])
        state = memory = clips.new_zeros(count, self.hidden, *self.grid)
        for step in range(length):
            state, memory = self.cell(pictures[:, step], state, memory)
        logits: Tensor = self.head(self.pool(state).flatten(1))
        return logits


class ConvLstm(Architecture):
    """Builds `ConvLstmNetwork`."""

    name: ClassVar[str] = "convlstm"
    outputs: ClassVar[str] = "head.bias"

    def build(self, config: Mapping[str, object], *, frames: int, height: int, width: int, classes: int) -> nn.Module:
        parameters = ConvLstmConfig.read(self.name, config)
        if parameters.hidden_kernel % 2 == 0:
            raise ClassifierError(
                f"the architecture {self.name} needs an odd 'hidden_kernel', not {parameters.hidden_kernel}"
            )
        grid = parameters.grid(height, width)
        if min(grid) < parameters.pool:
            raise ClassifierError(
                f"frames of {height}x{width} pixels are too small for the architecture {self.name} with these "
                "parameters; use larger frames or a smaller 'stride' or 'pool'"
            )
        return ConvLstmNetwork(parameters, grid, classes)
