"""The paper's gradient (Eqs. 8 to 10) of one frame, from changes of its single pixels.

How the equations are read. `v_F[m,n]` is the clip whose frame F has its pixel (m, n) changed, `F_mn` that frame, `dp_mn` the
flow between F and `F_mn` by the run's extractor, `l` the loss (cross entropy of the class), all norms those of the question.

    Eq. 9    d eta / d p  at (m, n)  =  ||eta_mn - eta|| / ||dp_mn||
    Eq. 10   d l / d eta  at (m, n)  =  (l(v_F[m,n]) - l(v)) / ||eta_mn - eta||
    Eq. 8    gradient     at (m, n)  =  their product (Hadamard)

The paper's remark after Eq. 10 puts `||F_mn - F||` in place of `||eta_mn - eta||`. Either cancels: the product telescopes to
`(l(v_F[m,n]) - l(v)) / ||dp_mn||`, which costs a forward pass and an extraction for every pixel.

What the paper leaves open, and what is done here:
- How much a pixel changes (its tau): `change`, by default one grey level of 255, added to all channels. A pixel that would
  leave [0, 1] goes down instead, and its difference of the loss changes sign, so that entries stay comparable.
- Which frame belongs to flow t: F_{t+1}, the first one that a manipulation of flow t moves (engine contract, section 2).
- `dp_mn = 0`, where the extractor sees nothing of the change: Eq. 9 is not defined. The entry is zero, which leaves the
  flow at that pixel as it is.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.flow import Extractor
from verification.engine.network.graph import Graph

GREY_LEVEL = 1 / 255
_ROOM = 2.5e8  # bytes for the values of clips that are evaluated together; more does not make a processor faster
_MOST = 64  # clips together


@dataclass(frozen=True)
class PixelChanges:
    """For n pixels, (n,) float64 each: `loss`, l(v_F[m,n]) - l(v), negated where the pixel went down; `frame`,
    ||F_mn - F||; `flow`, ||dp_mn||."""

    loss: Tensor
    frame: Tensor
    flow: Tensor

    @property
    def features_by_flow(self) -> Tensor:
        """Eq. 9, with the remark's `||F_mn - F||`; infinite where the extractor sees nothing."""
        return self.frame / self.flow

    @property
    def loss_by_features(self) -> Tensor:
        """Eq. 10, with the remark's `||F_mn - F||`; not a number where the pixel could not change."""
        return self.loss / self.frame

    @property
    def gradient(self) -> Tensor:
        """Eq. 8 telescoped; zero where the extractor sees nothing."""
        seen = self.flow > 0
        return torch.where(seen, self.loss, 0.0) / torch.where(seen, self.flow, 1.0)


class PixelDifferences:
    """Changes single pixels of a clip. `change`: of a pixel value; `room`: bytes for clips that are evaluated together."""

    def __init__(self, problem: Problem, extractor: Extractor, change: float = GREY_LEVEL, room: float = _ROOM) -> None:
        self.problem, self.extractor, self.change = problem, extractor, change
        size = torch.finfo(torch.float64).bits // 8 * values_at_once(problem.graph)
        self.batch = max(1, min(_MOST, int(room / size)))  #: pixels that `measure` should be given at once

    def loss(self, clip: Tensor) -> Tensor:
        """A scalar: the cross entropy of the question's class for a clip (l, 3, h, w); differentiable."""
        return self._cross_entropy(self.problem.logits_of(clip))

    def measure(self, clip: Tensor, loss: Tensor, frame: int, pixels: Tensor) -> PixelChanges:
        """Change each of `pixels`, (n,) in row-major order, of the frame with index `frame` of a float64 clip (l, 3, h, w).

        `loss`: of the clip itself. One forward pass and one extraction for every pixel.
        """
        original = clip[frame]
        changed, signs = self._changed(original, pixels)
        with torch.no_grad():
            clips = clip.expand(len(pixels), *clip.shape).clone()
            clips[:, frame] = changed
            logits = torch.func.vmap(lambda one: self.problem.logits_of(one))(clips)
            losses = self._cross_entropy(logits)
        norm = self.problem.norm
        sizes = [norm.of(one - original) for one in changed]
        flows = [norm.of(self.extractor.extract(torch.stack([original, one])).double()) for one in changed]
        device = clip.device
        return PixelChanges((losses - loss) * signs, torch.stack(sizes).to(device), torch.stack(flows).to(device))

    def _changed(self, frame: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, h, w): the frame with one pixel changed each, and (n,): whether it went up (1) or down (-1)."""
        count, (channels, height, width) = len(pixels), frame.shape
        flat = frame.reshape(channels, height * width)
        values = flat[:, pixels]
        up, down = (values + self.change <= 1).all(0), (values - self.change >= 0).all(0)
        signs = torch.where(down & ~up, -1.0, 1.0).to(frame)
        changed = flat.expand(count, channels, height * width).clone()
        numbers = torch.arange(count, device=frame.device)
        changed[numbers, :, pixels] = (values + signs * self.change).clamp(0, 1).T
        return changed.view(count, channels, height, width), signs

    def _cross_entropy(self, logits: Tensor) -> Tensor:
        return logits.logsumexp(-1) - logits[..., self.problem.label]


def values_at_once(graph: Graph) -> int:
    """How many numbers one evaluation of `graph` holds at most at the same time, constants and scratch aside."""
    last_use = graph.last_use()
    held, most = graph.elements_of(0), graph.elements_of(0)
    for number, node in enumerate(graph.nodes, start=1):
        held += graph.elements_of(number)
        most = max(most, held)
        held -= sum(graph.elements_of(i) for i in set(node.inputs) if last_use[i] == number)
    return most
