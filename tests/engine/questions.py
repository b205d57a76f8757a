"""A small question that the engine answers in seconds: a random CNN + LSTM over a textured clip that moves."""

import math

import torch
from torch import Tensor, nn

from verification.engine import Budget, Classifier, Clip, Norm, Observer, Specification
from verification.engine.network import ARCHITECTURES, InputSpecification
from verification.engine.result import AdversarialExample, BoundPoint

FRAMES, HEIGHT, WIDTH = 4, 16, 20
MARGIN = 0.02


def make_classifier(seed: int = 0) -> Classifier:
    """`cnn_lstm` with random weights; its biases put the clip of the same seed near a boundary, in class 1."""
    torch.manual_seed(seed)
    config = {"channels": [4], "features": 6, "hidden": 5, "stride": 4}
    network = ARCHITECTURES["cnn_lstm"].build(config, frames=FRAMES, height=HEIGHT, width=WIDTH, classes=3).eval()
    network.requires_grad_(False)
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    head.weight.data *= 4
    head.bias.data += torch.tensor([0.0, MARGIN, -MARGIN]) - network(make_frames(seed).unsqueeze(0))[0]
    labels = ("stands", "walks", "runs")
    return Classifier("small", f"{seed:064d}", "cnn_lstm", labels, InputSpecification(FRAMES, HEIGHT, WIDTH), network)


def make_frames(seed: int = 0) -> Tensor:
    """(l, 3, h, w): smooth texture that moves a pixel and a half to the right from frame to frame."""
    generator = torch.Generator().manual_seed(seed)
    waves = torch.rand((6, 4), generator=generator)
    rows = torch.arange(HEIGHT).view(1, HEIGHT, 1)
    columns = torch.arange(WIDTH).view(1, 1, WIDTH) - 1.5 * torch.arange(FRAMES).view(FRAMES, 1, 1)
    layers = [torch.sin(math.tau * (a * rows / 9 + b * columns / 7 + c)) for a, b, c, _ in waves.tolist()]
    texture = torch.stack(layers, 1)
    frames = torch.stack([texture[:, i::3].mean(1) for i in range(3)], 1)
    return (frames * 0.3 + 0.5).clamp(0, 1).float()


def make_specification(texture: int = 0, **fields: object) -> Specification:
    settings: dict[str, object] = {"norm": Norm.L2, "budget": Budget(seconds=600, rounds=8), **fields}
    clip = Clip(make_frames(texture), "texture.avi", f"{texture:064d}")
    return Specification(clip=clip, classifier=make_classifier(texture), **settings)  # type: ignore[arg-type]


class Recording(Observer):
    """Keeps everything that the engine says; asks it to stop once `patience` points have come."""

    def __init__(self, patience: int | None = None) -> None:
        self.points: list[BoundPoint] = []
        self.examples: list[AdversarialExample] = []
        self.checkpoints: list[bytes] = []
        self.events: list[str] = []
        self.begun: list[tuple[int, float]] = []
        self.patience = patience

    def started(self, label: int, confidence: float) -> None:
        self.begun.append((label, confidence))

    def bounds(self, point: BoundPoint) -> None:
        self.points.append(point)

    def adversarial(self, example: AdversarialExample) -> None:
        self.examples.append(example)

    def event(self, text: str) -> None:
        self.events.append(text)

    def checkpoint(self, state: bytes) -> None:
        self.checkpoints.append(state)

    def should_stop(self) -> bool:
        return self.patience is not None and len(self.points) >= self.patience
