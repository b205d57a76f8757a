"""How to train: everything that decides the result besides the videos."""

from dataclasses import dataclass, field

from verification.engine.errors import TrainingError
from verification.training.augmentation import Augmentation
from verification.training.robust.loss import RobustLoss


@dataclass(frozen=True)
class Recipe:
    """`rate`: of AdamW at its largest; `decay`: of the weights; `smoothing`: of the labels. `batch`: clips in a step.

    Training ends after `epochs` passes over the videos, or after `patience` of them without a better validation.
    `validation`, `testing`: shares of each class's groups. `robust`: what is added to the plain loss, if anything.
    """

    epochs: int = 60
    batch: int = 8
    rate: float = 2e-3
    decay: float = 0.01
    smoothing: float = 0.05
    patience: int = 12
    validation: float = 0.2
    testing: float = 0.2
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    robust: RobustLoss | None = None

    def __post_init__(self) -> None:
        for name, least, most in (("epochs", 1, 100_000), ("batch", 1, 4096), ("patience", 1, 100_000)):
            _check(name, getattr(self, name), least, most)
        _check("rate", self.rate, 1e-8, 1.0)
        _check("decay", self.decay, 0.0, 10.0)
        _check("seed", self.seed, 0, 2**31 - 1)
        _check("crop", self.augmentation.crop, 0.1, 1.0)
        _check("brightness", self.augmentation.brightness, 0.0, 1.0)


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise TrainingError(f"the recipe's {name} must be from {least:g} to {most:g}, not {value:g}")
