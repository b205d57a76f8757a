"""Transfer learning for `vgg16_lstm`: published convolutions stay as they are, and their features are computed once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from verification.engine.errors import TrainingError
from verification.engine.network.architectures.vgg16_lstm import Vgg16LstmNetwork
from verification.engine.network.inspect import inspect_file
from verification.training.material import Material
from verification.training.sampled import Frames
from verification.training.storage import store

#: What torchvision's weights expect: values in [0, 1], less the mean, divided by the deviation of ImageNet, RGB.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Features = NDArray[np.float32]
"""(variants, l, f), the variants being the shifts in time and then, if wanted, the same mirrored."""


def load_convolutions(network: Vgg16LstmNetwork, path: Path) -> str:
    """Give `network` the convolutions of a safetensors file with the names of torchvision's VGG16; the file's SHA-256.

    Other tensors of the file, such as `classifier.0.weight`, are left out. Raises ClassifierError for a file that cannot be
    read, TrainingError for one without these weights.
    """
    file = inspect_file(path)
    needed = {f"features.{name}": tensor for name, tensor in network.features.state_dict().items()}
    wrong = [n for n, tensor in needed.items() if n not in file.tensors or file.tensors[n].shape != tensor.shape]
    if wrong:
        raise TrainingError(
            f"{path.name} has no weight {wrong[0]} of the shape {list(needed[wrong[0]].shape)}; save torchvision's VGG16 "
            "with safetensors' save_file(vgg16.state_dict(), FILE)"
        )
    network.features.load_state_dict({name.removeprefix("features."): file.tensors[name] for name in needed})
    network.features.requires_grad_(False)
    return file.sha256


@dataclass(frozen=True)
class FeatureMaterial(Material):
    """`videos`: of each video its features (variants, l, f), which stay on disk. A batch is (n, l, f)."""

    videos: Sequence[Features]
    labels: Tensor

    def batch(self, numbers: Sequence[int], rng: np.random.Generator | None) -> Tensor:
        chosen = [self.videos[i] for i in numbers]
        picked = [videos[0 if rng is None else int(rng.integers(len(videos)))] for videos in chosen]
        return torch.from_numpy(np.stack(picked))


@dataclass(frozen=True)
class FeatureCache:
    """Features of clips in `folder`, for the convolutions of the weights with this hash. `flip`: of mirrored ones too."""

    folder: Path
    network: Vgg16LstmNetwork
    weights: str
    flip: bool

    def read(self, key: str, clips: Frames, device: torch.device) -> Features:
        """The features of clips (shifts, l, h, w, 3) that are known as `key`, mapped into memory, computed if need be."""
        name = hashlib.sha256(f"{key} {self.weights} {self.flip}".encode()).hexdigest()[:32]
        path = self.folder / f"{name}.features.npy"
        if not path.is_file():
            store(path, self._computed(clips, device))
        features: Features = np.load(path, mmap_mode="r")
        return features

    @torch.no_grad()
    def _computed(self, clips: Frames, device: torch.device) -> Features:
        variants = [*clips, *(clip[:, :, ::-1] for clip in clips)] if self.flip else [*clips]
        mean, deviation = (torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, DEVIATION))
        rows = []
        for clip in variants:
            frames = torch.from_numpy(np.array(clip)).to(device).permute(0, 3, 1, 2).float() / 255
            rows.append(self.network.describe(((frames - mean) / deviation).unsqueeze(0))[0].cpu().numpy())
        return np.stack(rows)


class Tail(nn.Module):
    """What is trained of a `vgg16_lstm`: features (n, l, f) to logits (n, classes). Shares its layers."""

    def __init__(self, network: Vgg16LstmNetwork) -> None:
        super().__init__()
        self.lstm, self.head = network.lstm, network.head
        self._classify = network.classify

    def forward(self, features: Tensor) -> Tensor:
        return self._classify(features)
