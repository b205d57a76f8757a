"""`camera_motion`: the demo. A layer of motion detectors, an average over regions, and a small LSTM over time.

The stem is a bank of linear filters in space and time followed by ReLU, the classical motion energy detector; its
answers are averaged over regions of the picture, and an LSTM reads the regions step by step. There is one layer of
ReLU, no max-pool, and few steps of the LSTM, because every nonlinearity widens the proven bounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from verification.engine.errors import ClassifierError
from verification.engine.network.architectures.base import Architecture, Config, whole


@dataclass(frozen=True)
class CameraMotionConfig(Config):
    """`kernel`, `stride`: of the stem in space, pixels; `kernel_frames`, `stride_frames`: in time.

    `pool`: side of the regions, in answers of the stem.
    """

    channels: int = whole(16, 1, 1024)
    kernel: int = whole(17, 1, 255)
    stride: int = whole(8, 1, 255)
    kernel_frames: int = whole(4, 1, 64)
    stride_frames: int = whole(2, 1, 64)
    pool: int = whole(2, 1, 255)
    features: int = whole(16, 1, 4096)
    hidden: int = whole(16, 1, 4096)


class CameraMotionNetwork(nn.Module):
    """Clips (n, l, 3, h, w) in [0, 1] to logits (n, classes)."""

    def __init__(self, config: CameraMotionConfig, grid: tuple[int, int], classes: int) -> None:
        super().__init__()
        space, time = config.kernel, config.kernel_frames
        self.stem = nn.Conv3d(
            3,
            config.channels,
            kernel_size=(time, space, space),
            stride=(config.stride_frames, config.stride, config.stride),
            padding=(0, space // 2, space // 2),
        )
        self.relu = nn.ReLU()
        self.pool = nn.AvgPool2d(config.pool)
        self.features = nn.Linear(config.channels * grid[0] * grid[1], config.features)
        self.lstm = nn.LSTM(config.features, config.hidden, batch_first=True)
        self.head = nn.Linear(config.hidden, classes)

    def forward(self, clips: Tensor) -> Tensor:
        motion: Tensor = self.relu(self.stem((clips - 0.5).transpose(1, 2))).transpose(1, 2)
        clip_count, steps = motion.shape[:2]
        regions = self.pool(motion.flatten(0, 1)).flatten(1)
        features = self.features(regions).view(clip_count, steps, -1)
        states, _ = self.lstm(features)
        logits: Tensor = self.head(states[:, -1])
        return logits


class CameraMotion(Architecture):
    """Builds `CameraMotionNetwork`."""

    name: ClassVar[str] = "camera_motion"
    outputs: ClassVar[str] = "head.bias"

    def build(self, config: Mapping[str, object], *, frames: int, height: int, width: int, classes: int) -> nn.Module:
        parameters = CameraMotionConfig.read(self.name, config)
        steps = (frames - parameters.kernel_frames) // parameters.stride_frames + 1
        grid = [
            (1 + (side + 2 * (parameters.kernel // 2) - parameters.kernel) // parameters.stride) // parameters.pool
            for side in (height, width)
        ]
        if min(steps, *grid) < 1:
            raise ClassifierError(
                f"clips of {frames} frames of {height}x{width} are too small for the architecture {self.name} with "
                "these parameters; use more frames, larger frames or smaller kernels and regions"
            )
        return CameraMotionNetwork(parameters, (grid[0], grid[1]), classes)
