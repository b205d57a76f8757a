"""What is trained and on what: a whole network on clips, or the rest of VGG16 on features of its convolutions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from verification.engine.errors import TrainingError
from verification.engine.network import ARCHITECTURES, InputSpecification
from verification.engine.network.architectures.vgg16_lstm import Vgg16LstmNetwork
from verification.engine.network.input import Prepared
from verification.training import vgg16
from verification.training.material import ClipMaterial, Material
from verification.training.recipe import Recipe
from verification.training.sampled import SampledFrames


@dataclass(frozen=True)
class Design:
    """Which network: `architecture` with its parameters `config`, for clips as `input` says.

    `convolutions`: a file with the weights of VGG16, which then stay as they are; for the architecture vgg16_lstm alone.
    """

    architecture: str
    config: Mapping[str, object]
    input: InputSpecification
    convolutions: Path | None = None


class Setup(ABC):
    """`network`: what is saved in the end, for clips as `input` says. `trained`: what maps the material to logits."""

    network: nn.Module
    trained: nn.Module
    input: InputSpecification

    @abstractmethod
    def read(self, path: Path) -> NDArray[Any]:
        """What a video gives, from the cache if it is there. Raises ClipError for one that cannot be read."""

    @abstractmethod
    def material(self, arrays: Sequence[NDArray[Any]], labels: Tensor) -> Material:
        """Videos as `read` gave them, with the indices of their classes, as inputs of `trained`."""


class ClipSetup(Setup):
    """A whole network, trained on clips."""

    def __init__(self, network: nn.Module, input: InputSpecification, cache: Path, recipe: Recipe) -> None:
        self.network, self.input, self._recipe = network, input, recipe
        self.trained = network if input.plain else Prepared(network, input)
        self._frames = SampledFrames(cache, input)

    def read(self, path: Path) -> NDArray[Any]:
        return self._frames.read(path)

    def material(self, arrays: Sequence[NDArray[Any]], labels: Tensor) -> Material:
        return ClipMaterial(arrays, labels, self._recipe.augmentation)


class FeatureSetup(Setup):
    """`vgg16_lstm` with given convolutions: the LSTM and the last layer, trained on stored features."""

    def __init__(
        self, network: Vgg16LstmNetwork, design: Design, weights: Path, cache: Path, recipe: Recipe, device: str
    ) -> None:
        if recipe.robust is not None:
            raise TrainingError(
                "robust training changes the clips, so stored features do not serve it: leave out --vgg16 or --robust"
            )
        sha256 = vgg16.load_convolutions(network, weights)
        self.network, self._device = network, torch.device(device)
        self.input = replace(design.input, mean=vgg16.MEAN, deviation=vgg16.DEVIATION)
        self.trained = vgg16.Tail(network)
        self._frames = SampledFrames(cache, design.input)
        self._features = vgg16.FeatureCache(cache, network, sha256, recipe.augmentation.flip)

    def read(self, path: Path) -> NDArray[Any]:
        return self._features.read(self._frames.key(path), self._frames.read(path), self._device)

    def material(self, arrays: Sequence[NDArray[Any]], labels: Tensor) -> Material:
        return vgg16.FeatureMaterial(arrays, labels)


def build_setup(design: Design, classes: int, cache: Path, recipe: Recipe, device: str) -> Setup:
    """The setup for a design and that many classes, its weights drawn with the recipe's seed.

    Raises TrainingError or ClassifierError for a design that cannot be.
    """
    if design.architecture not in ARCHITECTURES:
        raise TrainingError(
            f"there is no architecture {design.architecture!r}; choose one of {', '.join(ARCHITECTURES)}"
        )
    torch.manual_seed(recipe.seed)
    wanted = design.input
    network = ARCHITECTURES[design.architecture].build(
        design.config, frames=wanted.frames, height=wanted.height, width=wanted.width, classes=classes
    )
    network.to(device)
    if design.convolutions is None:
        setup: Setup = ClipSetup(network, wanted, cache, recipe)
    elif isinstance(network, Vgg16LstmNetwork):
        setup = FeatureSetup(network, design, design.convolutions, cache, recipe, device)
    else:
        raise TrainingError(f"weights of VGG16 are for the architecture vgg16_lstm, not for {design.architecture}")
    setup.trained.to(device)
    return setup
