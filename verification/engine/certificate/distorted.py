"""All clips that the natural distortions of a leaf make, as an affine form over their pixels.

A distortion is a graph of operations in front of the network: the form of its parameters goes through it by the same rules.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.certificate.cover import centred
from verification.engine.certificate.forms import AffineForm, image_of
from verification.engine.network.graph import Graph
from verification.engine.perturbation import Distortion


@dataclass(frozen=True)
class Distorted:
    """`frames` (l, 3, h, w) float64 in [0, 1], and the distortion that is applied to them."""

    frames: Tensor
    space: Distortion

    whole = False

    @cached_property
    def _graph(self) -> Graph:
        return self.space.graph(self.frames)

    @property
    def symbols(self) -> int:
        return self.space.dimensions

    @property
    def reach(self) -> Tensor:
        """(K,): shares of what there is to choose from."""
        return self.space.shares

    def fits(self, lower: Tensor, upper: Tensor) -> Tensor:
        """(B,): every leaf has a form."""
        return torch.ones(len(lower), dtype=torch.bool)

    def form(self, lower: Tensor, upper: Tensor) -> AffineForm:
        """Pixels (B, 1, l, 3, h, w) where `lower <= p <= upper` (B, K), one symbol for each parameter."""
        centre, half = centred(lower, upper)
        start = AffineForm(
            centre.unsqueeze(1), torch.diag_embed(half).unsqueeze(2), torch.zeros_like(centre).unsqueeze(1), False
        )
        forms = [start]
        for node in self._graph.nodes:
            forms.append(image_of(node.operation, [forms[value] for value in node.inputs]))
        return forms[-1]
