"""What a flow extractor is: the paper's `f` of Def. 4, one pair of frames at a time."""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: ITU-R BT.601 weights of red, green and blue, as cv2.cvtColor uses them.
_GREY = (0.299, 0.587, 0.114)


class Extractor(ABC):
    """`p_t = f(F_t, F_{t+1})`, the displacement in pixels that carries frame t onto frame t+1. Registered by `name`."""

    name: ClassVar[str]

    @abstractmethod
    def between(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        """The flow from `first` to `second`, both (h, w) grey in [0, 255]. Returns (h, w, 2): x, then y, pixels."""

    def extract(self, frames: Tensor) -> Tensor:
        """P(v) of a clip. `frames`: (l, 3, h, w) RGB in [0, 1]. Returns (l-1, 2, h, w) float32 on the CPU, pixels.

        Grey values are not rounded to 8 bits: the changes that fool a classifier are often finer than that.
        """
        weights = torch.tensor(_GREY, dtype=torch.float64).view(1, 3, 1, 1)
        grey = (frames.detach().to("cpu", torch.float64) * weights).sum(1).mul(255).to(torch.float32).numpy()
        flows = [self.between(first, second) for first, second in pairwise(grey)]
        return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).contiguous()
