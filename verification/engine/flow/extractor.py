"""What a flow extractor is: the paper's `f` of Def. 4, one pair of frames at a time."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.flow.parameters import KEY, Parameter, written

#: ITU-R BT.601 weights of red, green and blue, as cv2.cvtColor uses them.
_GREY = (0.299, 0.587, 0.114)
_SHOWN = 40  # characters of a wrong text that a message repeats

Grey = NDArray[np.float32]
"""(h, w), in [0, 255], not rounded."""


@dataclass(frozen=True)
class Extractor(ABC):
    """`p_t = f(F_t, F_{t+1})`, the displacement in pixels that carries frame t onto frame t+1. Registered by `name`.

    A subclass is a frozen dataclass whose fields are its parameters (`parameters.whole`, `real`, `one_of`). It is written as its
    name, or as `name:parameter=value,...`. The same frames and parameters give the same flow, with any number of threads.
    """

    name: ClassVar[str]
    #: For people: a heading, and what comes after "extracted by".
    title: ClassVar[str]
    method: ClassVar[str]
    #: An example of how it is written with parameters.
    example: ClassVar[str]
    #: Whether grey values are rounded to 8 bits, so that manipulations below some hundredths of a pixel drown in rounding.
    rounds: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Raises SpecificationError for a value that is not allowed."""
        for key, parameter in self.parameters().items():
            if not parameter.admits(getattr(self, key)):
                raise self._refused(key, parameter, repr(getattr(self, key)))

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """What can be set, by name."""
        return {each.name: each.metadata[KEY] for each in fields(cls)}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The values of all parameters that are not set."""
        return {each.name: each.default for each in fields(cls)}

    @classmethod
    def read(cls, argument: str) -> Self:
        """The extractor with the parameters written as `levels=4,winsize=21`. Raises SpecificationError."""
        values: dict[str, Any] = {}
        known = cls.parameters()
        for part in argument.split(","):
            key, equals, text = (piece.strip() for piece in part.partition("="))
            if not equals or not key:
                raise SpecificationError(
                    f"parameters of {cls.name!r} are written as in {cls.example}, not {part.strip()[:_SHOWN]!r}"
                )
            if key not in known:
                raise SpecificationError(
                    f"the extractor {cls.name!r} has no parameter {key[:_SHOWN]!r}; it has {', '.join(known)}"
                )
            if key in values:
                raise SpecificationError(f"{key!r} of the extractor {cls.name!r} is said twice")
            values[key] = known[key].read(text)
            if values[key] is None:
                raise cls._refused(key, known[key], repr(text[:_SHOWN]))
        return cls(**values)

    @classmethod
    def _refused(cls, key: str, parameter: Parameter, value: str) -> SpecificationError:
        return SpecificationError(f"{key!r} of the extractor {cls.name!r} must be {parameter.allowed}, not {value}")

    @property
    def chosen(self) -> dict[str, str]:
        """The parameters that are not at their defaults, as they are written."""
        return {
            key: written(getattr(self, key)) for key, value in self.defaults().items() if getattr(self, key) != value
        }

    @property
    def spelled(self) -> str:
        """The one spelling that is recorded: parameters in order, those at their defaults left out."""
        chosen = ",".join(f"{key}={text}" for key, text in self.chosen.items())
        return f"{self.name}:{chosen}" if chosen else self.name

    @property
    def described(self) -> str:
        """What comes after "extracted by": the method, with the parameters that are not at their defaults."""
        chosen = ", ".join(f"{key} = {text}" for key, text in self.chosen.items())
        return f"{self.method} ({chosen})" if chosen else self.method

    @property
    def least_side(self) -> int:
        """How many pixels frames must have at least, in height and in width."""
        return 1

    def check_size(self, height: int, width: int) -> None:
        """Raises SpecificationError for frames that are too small."""
        if min(height, width) < self.least_side:
            raise SpecificationError(
                f"the flow extractor {self.spelled!r} takes frames of at least {self.least_side} pixels a side, not "
                f"{height}x{width}; choose another extractor"
            )

    @abstractmethod
    def between(self, first: Grey, second: Grey) -> NDArray[np.float32]:
        """The flow from `first` to `second`. Returns (h, w, 2): x, then y, pixels."""

    def extract(self, frames: Tensor) -> Tensor:
        """P(v) of a clip. `frames`: (l, 3, h, w) RGB in [0, 1]. Returns (l-1, 2, h, w) float32 on the CPU, pixels.

        Grey values are not rounded to 8 bits here: the changes that fool a classifier are often finer than that. Lucas-Kanade
        and DIS have to round them. Raises SpecificationError for frames that are too small.
        """
        self.check_size(*frames.shape[2:])
        weights = torch.tensor(_GREY, dtype=torch.float64).view(1, 3, 1, 1)
        grey = (frames.detach().to("cpu", torch.float64) * weights).sum(1).mul(255).to(torch.float32).numpy()
        flows = [self.between(first, second) for first, second in pairwise(grey)]
        return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).contiguous()


def eight_bits(grey: Grey) -> NDArray[np.uint8]:
    """Rounded to whole grey levels, for what OpenCV offers on such images only."""
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
