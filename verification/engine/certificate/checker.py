"""The proof of leaves: lower bounds of all margins, by one pass of affine forms through the graph.

No optimiser and no search, and none of the bounds that the search uses (docs/bounds.md, "Certificates").
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from verification.engine.certificate.cover import Ball, centred
from verification.engine.certificate.distorted import Distorted
from verification.engine.certificate.forms import LARGEST, AffineForm, gamma, image_of
from verification.engine.certificate.imposed import Imposed
from verification.engine.certificate.shifted import Shifted
from verification.engine.network.graph import Graph
from verification.engine.network.operations.base import Rearrangement
from verification.engine.perturbation import Distortion, FlowSpace

#: Spaces of more dimensions are not cut into leaves.
MOST_DIMENSIONS = 12
_ELEMENTS = 1 << 24  # of all pixels' forms at once
_LEAVES = 16  # at once; more are not faster
_NAMED = 128  # a value with no more elements gets symbols of its own for its errors
_SYMBOLS = 1024  # in all


@dataclass(frozen=True)
class Proof:
    """Of B leaves: `margins` (B,) a lower bound of all margins, `slopes` (B, K) of the least one over half a leaf.

    Where nothing is known the margin is minus infinity.
    """

    margins: Tensor
    slopes: Tensor


@dataclass(frozen=True)
class Checker:
    """`graph`: constants in float64; `frames` (l, 3, h, w) float64 in [0, 1]; `label`: the class to keep."""

    graph: Graph
    frames: Tensor
    space: FlowSpace | Distortion
    label: int

    @cached_property
    def clips(self) -> Imposed | Distorted:
        """The clip under the space's perturbations."""
        if isinstance(self.space, Distortion):
            return Distorted(self.frames, self.space)
        return Imposed(self.frames, self.space)

    @cached_property
    def _shifted(self) -> Shifted | None:
        """What is known of the anchors without a form of the clip, where that pays."""
        shifted = Shifted(self.graph, self.clips) if isinstance(self.clips, Imposed) else None
        return shifted if shifted is not None and shifted.pays else None

    def prove(self, lower: Tensor, upper: Tensor, ball: Ball, check: Callable[[], None]) -> Proof:
        """Boxes `lower`, `upper` (B, K), in as far as the ball's own box goes, which they must touch.

        Raises UnsupportedOperationError for a graph with an operation that has no rule.
        """
        # Beyond the limits of a coordinate are the clips of the limits.
        lower, upper = (side.clamp(*self.space.domain()) for side in ball.clipped(lower, upper))
        margins = torch.full((len(lower),), -torch.inf, dtype=torch.float64)
        slopes = torch.zeros_like(lower)
        anchors = None if self._shifted is None else self._shifted.anchors
        values = self.frames.numel() if anchors is None else sum(map(self.graph.elements_of, anchors))
        at_once = max(1, min(_LEAVES, _ELEMENTS // (values * (self.clips.symbols + 4))))
        with torch.no_grad():
            for rows in torch.arange(len(lower)).split(at_once):
                check()
                rows = rows[self.clips.fits(lower[rows], upper[rows])]
                if len(rows):
                    margins[rows], slopes[rows] = self._proven(lower[rows], upper[rows], ball)
        return Proof(margins, slopes)

    def _proven(self, lower: Tensor, upper: Tensor, ball: Ball) -> tuple[Tensor, Tensor]:
        if self._shifted is not None:
            logits, sound = self._logits(self._shifted.forms(lower, upper))
        else:
            logits, sound = self._logits({0: self.clips.form(lower, upper)})
        centre, half = centred(lower, upper)
        others = [c for c in range(self.graph.output_shape[1]) if c != self.label]
        own = [part[..., [self.label]] - part[..., others] for part in (logits.centre[:, 0], logits.slopes[:, :, 0])]
        middle, slopes = own[0], own[1].movedim(1, -1)  # (B, C - 1), (B, C - 1, G)
        errors = logits.error[:, 0]
        lost = errors[:, [self.label]] + errors[:, others]
        sizes = logits.size[:, 0]
        size = sizes[:, [self.label]] + sizes[:, others]
        dimensions = self.space.dimensions
        moving, rest = slopes[..., :dimensions], slopes[..., dimensions:].abs().sum(-1)
        least = ball.least(moving, centre, half)
        rounding = gamma(slopes.shape[-1]) * (size + least.abs())
        margins = middle + least - rest - lost - rounding
        worst = margins.argmin(1)
        steepest = moving[torch.arange(len(moving)), worst].abs()
        least = margins.amin(1)
        return torch.where(sound & ~least.isnan(), least, -torch.inf), steepest

    def _logits(self, known: Mapping[int, AffineForm]) -> tuple[AffineForm, Tensor]:
        """The logits' form, and of which leaves (B,) all numbers on the way were of a sensible size.

        `known`: the clip, or the anchors, before which nothing is computed.
        """
        first = next(iter(known.values()))
        forms, symbols, last_use = dict(known), first.slopes.shape[1], self.graph.last_use()
        sound = torch.stack([form.size.flatten(1).amax(1) < LARGEST for form in known.values()]).all(0)
        before = frozenset() if 0 in known or self._shifted is None else self._shifted.affine
        for number, node in enumerate(self.graph.nodes, start=1):
            if number in before:
                continue
            inputs = [forms[value] for value in node.inputs]
            form = image_of(node.operation, inputs) if inputs else self._constant(node.operation.concrete(), first)
            elements = form.error[0].numel()
            if (
                form.loose
                and elements <= min(_NAMED, _SYMBOLS - symbols)
                and not isinstance(node.operation, Rearrangement)
            ):
                form, symbols = form.named(symbols), symbols + elements
            sound = sound & (form.size.flatten(1).amax(1) < LARGEST)
            forms[number] = form
            for value in set(node.inputs):
                if last_use[value] == number:
                    del forms[value]
        result = forms[len(self.graph.nodes)]
        return result.with_symbols(symbols), sound

    def _constant(self, value: Tensor, clip: AffineForm) -> AffineForm:
        """A value that does not depend on the clip."""
        centre = value.expand(len(clip.centre), *value.shape)
        return AffineForm(centre, centre.new_zeros((len(centre), 0, *value.shape)), torch.zeros_like(centre), False)
