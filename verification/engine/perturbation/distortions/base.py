"""What a natural distortion is: a family of clips with a few parameters, computed by operations in front of the network.

Zero leaves the clip as it is. Because a family is a graph of operations, whatever bounds a network bounds the distorted clip too
(docs/distortions.md).
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from verification.engine.errors import SpecificationError
from verification.engine.network.graph import Graph, Node
from verification.engine.network.lowering import Lowering, Reference
from verification.engine.perturbation.norms import Norm
from verification.engine.perturbation.spaces.base import Setting, Space

_ROUNDED_DOWN = 1 - 1e-9  # far more than rounding takes of a distance


@dataclass(frozen=True)
class Parameter:
    """One number of a distortion, from `least` to `most`, with 0 in between: beyond the limits it counts as the limit.

    `counts`: whether its size is part of the distance. One that does not may take any of its values for nothing.
    """

    name: str
    least: float
    most: float
    counts: bool = True


class Distortion(Space):
    """Coordinates `a` (K,) are the parameters, and so is `delta`; the distance is the norm of those that count."""

    strides = (1.0,)
    #: Whether every pixel value only moves farther away as a parameter leaves zero: then so does the whole clip.
    monotone: ClassVar[bool]
    #: One line for people who choose.
    summary: ClassVar[str]

    def __init__(self, length: int, height: int, width: int, parameters: tuple[Parameter, ...]) -> None:
        super().__init__(length, height, width)
        self.parameters = parameters
        self.subject = "the " + " and ".join(p.name for p in parameters if p.counts)

    @classmethod
    def build(cls, setting: Setting, argument: str) -> Self:
        if setting.flows is not None:
            raise SpecificationError(
                f"the distortion {cls.name!r} changes the frames as a whole: leave the choice of flows at all"
            )
        return cls.of(setting, argument)

    @classmethod
    @abstractmethod
    def of(cls, setting: Setting, argument: str) -> Self:
        """The distortion for a clip. Raises SpecificationError for an argument that does not fit it."""

    @abstractmethod
    def emit(self, graph: Lowering, frames: Tensor, parameters: Reference) -> None:
        """Emit what makes the distorted clip (1, l, 3, h, w) of `parameters` (1, K), last; `frames` (l, 3, h, w) float64."""

    def graph(self, frames: Tensor) -> Graph:
        """From the parameters (1, K) to the distorted clip (1, l, 3, h, w); constants in float64, on the device of `frames`."""
        lowering = Lowering((1, self.dimensions))
        lowering.name, lowering.place = self.name, "the distortion"
        self.emit(lowering, frames.double(), Reference(0))
        return Graph((1, self.dimensions), tuple(Node(*emitted) for emitted in lowering.emitted))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters; of several with one name the later ones are numbered, from 2."""
        names = [parameter.name for parameter in self.parameters]
        earlier = [names[:place].count(name) for place, name in enumerate(names)]
        return tuple(f"{name} {count + 1}" if count else name for name, count in zip(names, earlier, strict=True))

    def named(self, a: Tensor) -> dict[str, float]:
        """The parameters at `a` by name."""
        return dict(zip(self.names, a.tolist(), strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.parameters),)

    @property
    def delta_shape(self) -> tuple[int, ...]:
        return self.shape

    def domain(self) -> tuple[Tensor, Tensor]:
        return tuple(  # type: ignore[return-value]
            torch.tensor([getattr(p, end) for p in self.parameters], dtype=torch.float64) for end in ("least", "most")
        )

    @property
    def shares(self) -> Tensor:
        """(K,): what share a unit of each parameter is of its whole range; zero where that is one value alone."""
        least, most = self.domain()
        room = most - least
        return torch.where(room > 0, 1 / room, 0.0)

    def lift(self, a: Tensor) -> Tensor:
        return a

    def norm(self, a: Tensor, norm: Norm) -> Tensor:
        return norm.of(a * self.scales(norm).to(a))

    def scales(self, norm: Norm) -> Tensor:
        return torch.tensor([float(p.counts) for p in self.parameters], dtype=torch.float64)

    def steepness(self, gradient: Tensor, norm: Norm) -> float:
        return float(norm.dual.of(gradient * self.scales(norm).to(gradient)))

    def motion(self, delta: Tensor) -> Tensor:
        return delta

    def moved(self, frames: Tensor, motion: Tensor) -> Tensor:
        graph = self.graph(frames).cast(motion.dtype, frames.device)
        return graph(self.shortest(frames, motion).unsqueeze(0))[0]

    def shortest(self, frames: Tensor, a: Tensor) -> Tensor:
        least, most = (end.to(a) for end in self.domain())
        return a.clamp(least, most)

    def change(self, frames: Tensor, a: Tensor) -> Tensor:
        return self.perturbed(frames.to(a.dtype), a) - frames.to(a.dtype)

    def proven_change(self, frames: Tensor, radius: float) -> float | None:
        """How far a distorted clip may be from the clip, in the L2 norm of pixel values, if all up to `radius` are safe.

        As values only move away, what lies nearer than the clips at the radius lies within it. A sense that ends before the
        radius is safe as a whole. None where there is no such number.
        """
        if not self.monotone or len(self.parameters) > 1:
            return None
        ends = [(end.item(), radius * math.copysign(1.0, end.item())) for end in self.domain() if end.item()]
        left = [at for end, at in ends if abs(at) < abs(end)]
        found = (
            min(self._distance(frames, at) for at in left) if left else max(self._distance(frames, e) for e, _ in ends)
        )
        return found * _ROUNDED_DOWN

    def _distance(self, frames: Tensor, parameter: float) -> float:
        at = torch.tensor([parameter], dtype=torch.float64, device=frames.device)
        return float(Norm.L2.of(self.change(frames.double(), at)))

    def farthest(self, frames: Tensor, norm: Norm) -> float:
        least, most = self.domain()
        return float(self.norm(torch.maximum(most, -least), norm))
