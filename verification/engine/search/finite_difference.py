"""The paper's own search for an upper bound, by finite differences of single pixels: the reference, not for use.

    min p_t + epsilon gradient_t   for every flow t                                                          (Eq. 8)

`pixel_changes` says how the gradient is computed (Eqs. 9 and 10). It has one number for every pixel of a frame, where a flow
has two components: as in Def. 5 the number is added to the flow at this pixel, that is to both. In a space of few dimensions
the step is taken along the gradient in its coordinates, `B^T` of that.

The paper does not say what epsilon is, nor how the perturbation is minimised. Here the line through the present point along the
gradient is searched for the least multiple at which the class changes, in both directions, by doubling and bisection: each
crossing is a candidate for the upper bound. epsilon is constant from the first gradient on: a share of the multiple where that
line crosses, with its sign. The flow then moves by epsilon gradient, the gradient is computed anew there, and so on until
the class has changed; then all begins again at the clip with half the epsilon. Nothing here is random.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from verification.engine.bounds.problem import Problem
from verification.engine.errors import SpecificationError
from verification.engine.flow import Extractor
from verification.engine.perturbation import FlowSpace
from verification.engine.search.pixel_changes import GREY_LEVEL, PixelDifferences
from verification.engine.search.polish import changes_class
from verification.engine.search.search import Search

_SHARE = 0.25  # epsilon: of the first crossing's multiple
_STEPS = 20  # from the clip, as many as the paper's figure 7 shows
_NEAREST, _FARTHEST = (
    2.0**-6,
    64.0,
)  # where a line is looked at: pixels, and sides of the frame, of the largest component
_HALVINGS = 12
_NOTHING = 1e-100  # a gradient below it is none


class FiniteDifferenceSearch(Search):
    """Its evaluations are batches of pixels, and at the end of each gradient a line. Only in spaces of flows.

    `change`: by how much a pixel's value is changed. A search that goes on from its state ends as one without interruption.
    Raises SpecificationError for the space of pixels.
    """

    laborious = True

    def __init__(
        self, problem: Problem, extractor: Extractor, limit: float | None = None, change: float = GREY_LEVEL
    ) -> None:
        super().__init__(problem, limit)
        if not isinstance(problem.space, FlowSpace):
            raise SpecificationError(
                "finite differences are taken of the flow: choose another space than pixels, or the exact gradient"
            )
        self.differences = PixelDifferences(problem, extractor, change)
        self._pixels = _movable(problem.space, problem.frames)
        zero = torch.zeros(problem.space.shape, dtype=torch.float64, device=problem.frames.device)
        self._point = zero  # where the gradient is being computed
        self._gradient = self._blank()  # as far as it is known
        self._done = 0  # pixels of it
        self._origin: Tensor | None = None  # the gradient at the clip, in coordinates
        self._epsilon: float | None = None
        self._steps = 0  # since the clip
        self._clip: tuple[Tensor, Tensor] | None = None  # at `_point`, and its loss

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        state, tensors = super().state()
        tensors |= {"point": self._point, "gradient": self._gradient.clone()}
        tensors |= {} if self._origin is None else {"origin": self._origin}
        return state | {"done": self._done, "epsilon": self._epsilon, "steps": self._steps}, tensors

    def restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        super().restore(state, tensors)
        device = self.problem.frames.device
        self._point, self._gradient = tensors["point"].to(device), tensors["gradient"].to(device)
        self._origin = tensors["origin"].to(device) if "origin" in tensors else None
        self._done, self._steps, self._epsilon = int(state["done"]), int(state["steps"]), state["epsilon"]
        self._clip = None

    def _blank(self) -> Tensor:
        """(l-1, h w): no gradient yet."""
        length, _, height, width = self.problem.space.delta_shape
        return torch.zeros((length, height * width), dtype=torch.float64, device=self.problem.frames.device)

    def _evaluate(self, check: Callable[[], None]) -> None:
        if self._done < len(self._pixels):
            self._measure()
        else:
            self._move(check)

    def _measure(self) -> None:
        """The gradient at the next pixels of one frame."""
        flow = int(self._pixels[self._done, 0])
        batch = self._pixels[self._done : self._done + self.differences.batch]
        pixels = batch[batch[:, 0] == flow, 1]
        if self._clip is None:
            with torch.no_grad():
                clip = self.problem.perturbed(self._point)
                self._clip = clip, self.differences.loss(clip)
        clip, loss = self._clip
        self._gradient[flow, pixels] = self.differences.measure(clip, loss, flow + 1, pixels).gradient
        self._done += len(pixels)

    def _move(self, check: Callable[[], None]) -> None:
        """The gradient is known: look along its line, and go epsilon along it."""
        direction = self._pull_back()
        if self._largest(direction) < _NOTHING:
            self._stand_still()
            return
        crossing = self._search_line(direction, check)
        if self._origin is None:
            self._origin = direction
            self._epsilon = (1 / self._largest(direction)) if crossing is None else _SHARE * crossing
        assert self._epsilon is not None
        self._steps += 1
        point = self._point + self._epsilon * direction
        if self._steps >= _STEPS or self.problem.norm_of(point) > self.limit or changes_class(self.problem, point):
            self._begin_again()
        else:
            self._go(point)

    def _stand_still(self) -> None:
        """The extractor sees no change of any pixel, or the loss does not feel it."""
        if self._origin is None:
            self.finished = True
        else:
            self._begin_again()

    def _begin_again(self) -> None:
        """From the clip with smaller steps; the gradient there is known."""
        assert self._origin is not None and self._epsilon is not None
        self._epsilon /= 2
        self._steps = 1
        self._go(self._epsilon * self._origin)

    def _go(self, point: Tensor) -> None:
        self._point, self._gradient, self._done, self._clip = point, self._blank(), 0, None

    def _pull_back(self) -> Tensor:
        """The gradient in coordinates, `B^T` of the same number for both components of the flow."""
        _, _, height, width = self.problem.space.delta_shape
        both = self._gradient.view(-1, 1, height, width).expand(self.problem.space.delta_shape)
        a = torch.zeros_like(self._point, requires_grad=True)
        (gradient,) = torch.autograd.grad((both * self.problem.space.lift(a)).sum(), a)
        return gradient

    def _largest(self, a: Tensor) -> float:
        """The largest component of the perturbation, pixels."""
        return float(self.problem.space.lift(a).abs().max())

    def _search_line(self, direction: Tensor, check: Callable[[], None]) -> float | None:
        """The multiple of `direction`, of either sign, that changes the class with the least norm; None: none within reach."""
        found = None
        for sign in (1.0, -1.0):
            multiple = self._search_ray(sign * direction, check)
            if multiple is not None:  # the second one only counts where it is nearer
                found = sign * multiple
        return found

    def _search_ray(self, direction: Tensor, check: Callable[[], None]) -> float | None:
        """The least multiple found by doubling and bisection, below the best norm; its point is kept."""
        reach = min(self.limit, self.norm)
        pixel = 1 / self._largest(direction)
        last, multiple = 0.0, _NEAREST * pixel
        farthest = _FARTHEST * max(self.problem.space.height, self.problem.space.width) * pixel
        while multiple <= farthest:
            inside = self._within(direction, multiple, reach)
            if self._changes(direction, inside, check):
                return self._bisect(direction, last, inside, check)
            if inside < multiple:
                return None
            last, multiple = multiple, 2 * multiple
        return None

    def _within(self, direction: Tensor, multiple: float, reach: float) -> float:
        """`multiple`, or the largest smaller one whose norm is at most `reach`, to a thousandth or so."""
        if self.problem.norm_of(self._point + multiple * direction) <= reach:
            return multiple
        low, high = 0.0, multiple
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if self.problem.norm_of(self._point + middle * direction) <= reach:
                low = middle
            else:
                high = middle
        return low

    def _bisect(self, direction: Tensor, low: float, high: float, check: Callable[[], None]) -> float:
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if self._changes(direction, middle, check):
                high = middle
            else:
                low = middle
        return high

    def _changes(self, direction: Tensor, multiple: float, check: Callable[[], None]) -> bool:
        """Whether the class changes there; then the point is kept."""
        check()
        point = self._point + multiple * direction
        changed = changes_class(self.problem, point)
        if changed:
            self._keep(point)
        return changed


def _movable(space: FlowSpace, frames: Tensor) -> Tensor:
    """(n, 2): index of the flow and of the pixel, row-major, wherever the space can change a flow."""
    moving = space.moving.expand(space.length - 1, space.height, space.width).flatten(1)
    return moving.nonzero().to(frames.device)
