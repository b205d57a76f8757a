"""`rotation`, `scale`, `speed`: the content of the frames turns, grows, or moves faster or slower."""

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, Self

import torch
from torch import Tensor

from verification.engine.network.lowering import Lowering, Reference
from verification.engine.perturbation.distortions.arguments import read_arguments
from verification.engine.perturbation.distortions.base import Distortion, Parameter
from verification.engine.perturbation.distortions.courses import Course, Drift, Turn, Zoom
from verification.engine.perturbation.distortions.warped import Warped
from verification.engine.perturbation.imposition import displacements
from verification.engine.perturbation.spaces.base import Setting
from verification.engine.perturbation.units import Unit


class Warping(Distortion):
    """Of one parameter; what lies beyond the edges of a frame looks like the nearest pixel of the edge."""

    monotone = False
    course: ClassVar[Course]
    least: ClassVar[float]
    most: ClassVar[float]

    def __init__(self, length: int, height: int, width: int) -> None:
        super().__init__(length, height, width, (Parameter(self.name, self.least, self.most),))

    @classmethod
    def of(cls, setting: Setting, argument: str) -> Self:
        read_arguments(cls.name, argument, {})
        return cls(setting.length, setting.height, setting.width)

    @property
    @abstractmethod
    def steps(self) -> Tensor:
        """(K, l or 1, 2, h, w) float64: what the course moves the pixels by."""

    def emit(self, graph: Lowering, frames: Tensor, parameters: Reference) -> None:
        graph.emit(Warped(frames, self.steps.to(frames), self.course), parameters)

    @property
    def _from_middle(self) -> Tensor:
        """(2, h, w) float64: how far each pixel is from the middle of the frame."""
        columns, rows = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in (self.width, self.height))
        shape = (self.height, self.width)
        return torch.stack([columns.expand(shape), rows.unsqueeze(1).expand(shape)])


class Rotation(Warping):
    """Every frame turns about its middle, clockwise for positive angles: `v'(c + r) = v(c + R(-p) r)`."""

    name = "rotation"
    example = "rotation"
    unit = Unit.ANGLE
    summary = "Every frame is turned about its middle, as by a camera that is held askew."
    course = Turn()
    least, most = -180.0, 180.0

    @property
    def steps(self) -> Tensor:
        """`r - R(-p) r = (1 - cos p) r + sin p (-r_y, r_x)`."""
        away = self._from_middle
        return torch.stack([away, torch.stack([-away[1], away[0]])]).unsqueeze(1)


class Scale(Warping):
    """Every frame grows about its middle by the factor `2 ** p`: `v'(c + r) = v(c + 2 ** -p r)`."""

    name = "scale"
    example = "scale"
    unit = Unit.LOGARITHM
    summary = "Every frame is enlarged or made smaller about its middle, as by a zoom or another distance."
    course = Zoom()
    least, most = -3.0, 3.0

    @property
    def steps(self) -> Tensor:
        return self._from_middle[None, None]


class Speed(Warping):
    """Everything moves `1 + p` times as fast: the flow becomes `(1 + p) P(v)`, so that `v'_t(x) = v_t(x - p A_t(x))`.

    A is what the flow adds up to. `flow` gives P(v), and is asked only once a clip is distorted.
    """

    name = "speed"
    example = "speed"
    unit = Unit.SHARE
    summary = "All motion becomes faster or slower by one factor."
    course = Drift()
    least, most = -1.0, 4.0

    def __init__(self, length: int, height: int, width: int, flow: Callable[[], Tensor]) -> None:
        super().__init__(length, height, width)
        self._flow = flow

    @classmethod
    def of(cls, setting: Setting, argument: str) -> Self:
        read_arguments(cls.name, argument, {})
        return cls(setting.length, setting.height, setting.width, setting.flow)

    @cached_property
    def steps(self) -> Tensor:
        return displacements(self._flow().detach().cpu().double()).unsqueeze(0)
