"""What a network is trained on: clips, or features of a part of it that is not trained."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from verification.training.augmentation import Augmentation, augmented
from verification.training.sampled import Frames


class Material(ABC):
    """Inputs of the trained part of a network, one for each video, with the index of its class."""

    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def batch(self, numbers: Sequence[int], rng: np.random.Generator | None) -> Tensor:
        """The inputs numbered `numbers`, changed at random if there is an `rng`, float32."""


@dataclass(frozen=True)
class ClipMaterial(Material):
    """`videos`: of each video its clips (shifts, l, h, w, 3), which stay on disk. A batch is (n, l, 3, h, w) in [0, 1]."""

    videos: Sequence[Frames]
    labels: Tensor
    augmentation: Augmentation

    def batch(self, numbers: Sequence[int], rng: np.random.Generator | None) -> Tensor:
        chosen = [self.videos[i] for i in numbers]
        clips = [clips[0] if rng is None else augmented(clips, self.augmentation, rng) for clips in chosen]
        stacked = torch.from_numpy(np.stack(clips))
        return stacked.permute(0, 1, 4, 2, 3).contiguous().to(torch.float32).div_(255)
