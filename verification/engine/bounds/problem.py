"""The question in the form in which bounds and searches work on it: a graph, a clip, a space, and the class to keep."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from verification.engine.bounds.places import Places
from verification.engine.network.export import export_graph
from verification.engine.network.graph import Graph
from verification.engine.perturbation import Norm, Space

if TYPE_CHECKING:
    from verification.engine.specification import Specification


@dataclass(frozen=True)
class Problem:
    """`graph`: constants in float64. `frames`: (l, 3, h, w) float32 in [0, 1]. `label`: the clip's class, by float64."""

    graph: Graph
    frames: Tensor
    space: Space
    norm: Norm
    label: int

    @classmethod
    def build(cls, specification: "Specification") -> Self:
        """Export the classifier's graph for the clip, build the space, and classify the clip.

        Raises ClassifierError, UnsupportedOperationError or SpecificationError.
        """
        clip, device = specification.clip, torch.device(specification.device)
        space = specification.build_space()
        graph = export_graph(specification.classifier.module, (1, *clip.frames.shape))
        graph = graph.cast(torch.float64, device)
        frames = clip.frames.to(device)
        with torch.no_grad():
            label = int(graph(frames.double().unsqueeze(0)).argmax())
        return cls(graph, frames, space, specification.norm, label)

    @cached_property
    def places(self) -> dict[int, Places | None]:
        """Which pixels the values of the graph see, as far as that has been asked (`LinearBounds`)."""
        return {}

    @cached_property
    def _by_dtype(self) -> dict[torch.dtype, Graph]:
        return {torch.float64: self.graph}

    def graph_in(self, dtype: torch.dtype) -> Graph:
        """The graph with its constants in `dtype`."""
        if dtype not in self._by_dtype:
            self._by_dtype[dtype] = self.graph.cast(dtype, self.frames.device)
        return self._by_dtype[dtype]

    def logits_of(self, clip: Tensor) -> Tensor:
        """(C,): the logits of a clip (l, 3, h, w), in its dtype; differentiable."""
        return self.graph_in(clip.dtype)(clip.unsqueeze(0))[0]

    def logits(self, a: Tensor) -> Tensor:
        """(C,): the logits of the clip perturbed by `a`, in the dtype of `a`; differentiable."""
        return self.judged(self.perturbed(a))

    def judged(self, clip: Tensor) -> Tensor:
        """(C,): the logits by which a perturbed clip counts as an example or not; differentiable."""
        return self.logits_of(clip)

    def perturbed(self, a: Tensor) -> Tensor:
        """(l, 3, h, w): the clip with the perturbation `delta = B a`, in the dtype of `a`; differentiable."""
        return self.space.perturbed(self.frames.to(a.dtype), self.space.lift(a))

    def shortest(self, a: Tensor) -> Tensor:
        """Coordinates of least norm that make the same clip as `a`."""
        return self.space.shortest(self.frames, a)

    def norm_of(self, a: Tensor) -> float:
        """The distance of the perturbation by `a` in the norm of the question."""
        return float(self.space.norm(a, self.norm))

    @cached_property
    def farthest(self) -> float:
        """No perturbed clip is farther away than this."""
        return self.space.farthest(self.frames, self.norm)
