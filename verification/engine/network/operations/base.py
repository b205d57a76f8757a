"""What an operation of the graph can do: compute, bound by intervals, and pull linear functionals back to its inputs."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from verification.engine.errors import UnsupportedOperationError
from verification.engine.relaxation import Cone, Enclosure, Form, Interval, Planes, Rounding
from verification.engine.relaxation.transpose import pull_selection

Shape = tuple[int, ...]

#: Asks for functionals of an operation's input, each for the sake of one element of the output, (P, rank of the output) int64 on
#: the CPU, and is sent their lower bounds, (P, K, 3): at the clip itself, over the region, and there if a part alone of pixels
#: that several places see is counted (`Cone.wide`).
Inquiry = Generator[tuple[Form, Tensor], Tensor, None]


#: Intervals as narrow as this, relative to what they hold, are not worth a linear bound.
_NARROW = 1e-7


_Kept = TypeVar("_Kept", Tensor, tuple[Tensor, ...])


@dataclass
class Allowance:
    """How many bytes may still be kept of what the sites of one evaluation compute. What finds no room is computed again."""

    left: float = math.inf

    def admits(self, kept: Tensor | tuple[Tensor, ...]) -> bool:
        """Whether there is room, which is then taken."""
        parts = (kept,) if isinstance(kept, Tensor) else kept
        size = sum(part.numel() * part.element_size() for part in parts)
        if size > self.left:
            return False
        self.left -= size
        return True

    def charge(self, *kept: Tensor) -> None:
        """Count what is kept in any case."""
        self.left -= sum(part.numel() * part.element_size() for part in kept)


@dataclass
class Site:
    """Where an operation stands while one region is bounded: its inputs' shapes and proven intervals, and what it keeps.

    `memory` holds what the operation has learnt about the region, and what it uses in every backward pass (planes, magnitudes)
    as far as `allowance` goes: see `kept`.
    `cones`: those of its inputs, where all have one. `touches`: whether its planes are those for what is near the clip, and
    what they are wrong by farther away is in `excess` (`Operation.excess`). Then `stretch` is that of `Cone.stretched`, and
    `aim` the share of the radius for which the planes are chosen.
    """

    shapes: tuple[Shape, ...]
    boxes: tuple[Interval, ...]
    rounding: Rounding
    memory: dict[str, Any] = field(default_factory=dict)
    allowance: Allowance = field(default_factory=Allowance)
    cones: tuple[Cone, ...] | None = None
    touches: bool = False
    stretch: float = 1.0
    aim: float = 1.0
    excess: Tensor | None = None

    def kept(self, name: str, make: Callable[[], _Kept]) -> _Kept:
        """What `make` computes from the region alone: once, if there is room to keep it."""
        if name in self.memory:
            known: _Kept = self.memory[name]
            return known
        value = make()
        if self.allowance.admits(value):
            self.memory[name] = value
        return value


@dataclass(frozen=True)
class Pulled:
    """A lower-bounding functional of the output, rewritten in the inputs: `form . y >= sum forms[i] . x_i + constant`.

    `forms[i]` is None where input i does not matter. `constant`: (P or 1, K), the rounding margin already taken off.
    """

    forms: tuple[Form | None, ...]
    constant: Tensor | None = None


@dataclass(frozen=True)
class Operation(ABC):
    """One node's function. Tensor fields are its constants; `shape` arguments are shapes of the inputs."""

    def cast(self, dtype: torch.dtype, device: torch.device) -> Self:
        """The same operation with its constants in another precision or place."""
        moved = {name: value.to(device, dtype) for name, value in self.constants().items()}
        return replace(self, **moved) if moved else self

    def constants(self) -> dict[str, Tensor]:
        """The fields that hold weights and other real numbers."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in values if isinstance(value, Tensor) and value.is_floating_point()}

    def output_shape(self, *shapes: Shape) -> Shape:
        """The output's shape, found by computing on tensors without data."""
        nowhere = torch.device("meta")
        inputs = [torch.empty(shape, dtype=torch.float64, device=nowhere) for shape in shapes]
        return tuple(self.cast(torch.float64, nowhere).concrete(*inputs).shape)

    @abstractmethod
    def concrete(self, *inputs: Tensor) -> Tensor:
        """The value."""

    @abstractmethod
    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        """All values that the inputs' boxes allow (or more)."""

    @abstractmethod
    def backward(self, form: Form, site: Site) -> Pulled:
        """A sound lower bound of `form` applied to the output, in terms of the inputs."""

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        """The box `gradient` (K, *output shape) of gradients, pulled back to every input: (K, *input shape) each.

        For every two members x, x' of the inputs' boxes there are matrices with `f(x) - f(x') = sum_i M_i (x_i - x'_i)`
        such that the i-th result contains the transpose of M_i times g for all g in `gradient`.
        """
        raise UnsupportedOperationError(
            f"Lipschitz constants know no derivative of {type(self).__name__}; the bounds of the radius do without them"
        )

    def linear_part(self) -> "Operation | None":
        """The operation without its constants: `f(x) - f(x') = linear_part(x - x')`; None for those that are not affine."""
        return None

    def enclose(self, inputs: Sequence[Enclosure], site: Site) -> Enclosure:
        """The output as a linear function of the parameters of the inputs' enclosures.

        There is at least one input. Exact for affine operations, up to what the inputs' errors become. The others have rules
        of their own, or else know no more than an interval.
        """
        part, rounding = self.linear_part(), site.rounding
        dimensions = len(inputs[0].slopes)
        if part is None:
            return Enclosure.of(self.interval(rounding, *site.boxes), dimensions)
        centre = self.concrete(*(x.centre for x in inputs))
        slopes = (
            torch.vmap(part.concrete)(*(x.slopes for x in inputs))
            if dimensions
            else centre.new_zeros((0, *centre.shape))
        )
        lost = rounding.gamma(sum(x.centre.numel() for x in inputs))
        errors = [x.error + lost * (2 * x.centre.abs() + x.slopes.abs().sum(0)) for x in inputs]
        spread = part.interval(rounding, *(Interval(-error, error) for error in errors))
        return Enclosure(centre, slopes, spread.magnitude + lost * centre.abs() + rounding.underflow)

    #: True if the output's interval is as good as the inputs' intervals: no linear bound of its own is worth while.
    exact_interval = False

    #: True if `backward` relaxes, so that tight intervals of the inputs pay.
    relaxes = False

    def undecided(self, box: Interval) -> Tensor:
        """Of an input with this interval the elements (bool) whose tighter bounds would tighten the relaxation."""
        return torch.full(box.lower.shape, self.relaxes, device=box.lower.device)

    def ignored(self, box: Interval) -> Tensor:
        """Of an input with this interval the elements (bool) on which the output does not depend."""
        return torch.zeros(box.lower.shape, dtype=torch.bool, device=box.lower.device)

    def inquire(self, site: Site, idle: Tensor) -> Inquiry:
        """Learn more about the input than its intervals, and keep it in `site.memory`. `idle`: outputs that do not matter."""
        yield from ()

    def cone(self, site: Site) -> Cone | None:
        """What the cones of the inputs allow; None where they are unknown, or the rule for that is."""
        if site.cones is None or self.linear_part() is None:
            return None
        apex, base = (self.interval(site.rounding, *ends) for ends in _ends(site.cones))
        return Cone(apex.widened(site.rounding.underflow), base.widened(site.rounding.underflow))

    def footprint(self, site: Site) -> Form | None:
        """One functional of the input for each place of the output, with all elements that the place depends on.

        None for operations that have no `excess`.
        """
        return None

    def excess(self, site: Site, shares: Sequence[float]) -> Tensor:
        """(shares + 1, *output): by how much the output can exceed its planes if at most these shares are spent.

        Shares are counted as in `Cone.wide`, and the result is convex in them. The last entry: the most within the region.
        Asked of operations with a `footprint`, where `site.touches`. Beyond that, the planes hold as lower and upper ones.
        """
        raise NotImplementedError

    def channel_axis(self, shape: Shape) -> int:
        """Along which axis of its output neurons share their windows."""
        return 1 if len(shape) >= 4 else len(shape) - 1


def _ends(cones: tuple[Cone, ...]) -> tuple[list[Interval], list[Interval]]:
    return [cone.apex for cone in cones], [cone.base for cone in cones]


def between(apex: Tensor, base: Tensor, share: float, rounding: Rounding) -> Tensor:
    """`(1 - share) apex + share base`, rounded up."""
    return (1 - share) * apex + share * base + rounding.gamma(4) * share * (apex.abs() + base.abs())


class Rearrangement(Operation):
    """Moves or copies elements without arithmetic: intervals pass through unchanged."""

    exact_interval = True

    def interval(self, rounding: Rounding, *boxes: Interval) -> Interval:
        return Interval(self.concrete(*(b.lower for b in boxes)), self.concrete(*(b.upper for b in boxes)))

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        return pull_selection(self.concrete, site.shapes, gradient, site.rounding)

    def linear_part(self) -> Operation:
        return self


class Elementwise(Operation):
    """A function applied element by element, known to the backward pass through its planes alone."""

    relaxes = True

    def undecided(self, box: Interval) -> Tensor:
        return box.upper - box.lower > _NARROW * (1 + box.magnitude)

    @abstractmethod
    def planes(self, rounding: Rounding, *boxes: Interval) -> Planes:
        """Linear bounds on the boxes, their intercepts already widened for rounding."""

    def touching_planes(self, site: Site) -> Planes:
        """Those that go with `excess`."""
        raise NotImplementedError

    def backward(self, form: Form, site: Site) -> Pulled:
        count = len(site.shapes)
        seen = form.values(site.kept("planes", lambda: self._prepared(site)))
        a, size = form.coefficients, form.coefficients.abs()
        # A+ lower + A- upper = A (lower + upper) / 2 + |A| (lower - upper) / 2, slopes and intercepts alike.
        forms = tuple(
            Form(torch.addcmul(a * seen[:, i, None], size, seen[:, count + i, None]), form.offsets, shape)
            for i, shape in enumerate(site.shapes)
        )
        constant = form.contract(seen[:, 2 * count]) + form.like(size).contract(seen[:, 2 * count + 1])
        if site.rounding.rigorous:
            margin = site.rounding.gamma(a[0, 0].numel()) * form.like(size).contract(seen[:, 2 * count + 2])
            constant = constant - margin
        return Pulled(forms, constant)

    def enclose(self, inputs: Sequence[Enclosure], site: Site) -> Enclosure:
        """Between two planes, which need not be parallel: their mean, and the most that lies between on the boxes."""
        rounding, count = site.rounding, len(inputs)
        planes = self._enclosing(site)
        means, tilts, middle, height = (
            planes[:count],
            planes[count : 2 * count],
            planes[2 * count],
            planes[2 * count + 1],
        )
        # f >= sum (mean + tilt) x + middle + height and f <= sum (mean - tilt) x + middle - height.
        least, most = middle + height, middle - height
        centre, slopes, error = torch.zeros_like(least), torch.zeros_like(inputs[0].slopes), torch.zeros_like(least)
        for x, mean, tilt, box in zip(inputs, means, tilts, site.boxes, strict=True):
            ends = tilt * box.lower, tilt * box.upper
            least = least + torch.minimum(*ends)
            most = most + torch.maximum(-ends[0], -ends[1])
            centre, slopes, error = centre + mean * x.centre, slopes + mean * x.slopes, error + mean.abs() * x.error
        centre, error = centre + (least + most) / 2, error + (most - least) / 2
        size = torch.stack(
            [m.abs() * (x.centre.abs() + x.slopes.abs().sum(0)) for x, m in zip(inputs, means, strict=True)]
        )
        margin = rounding.gamma(8 * count) * (size.sum(0) + error + (planes[-1] if rounding.rigorous else 0.0))
        return Enclosure(centre, slopes, error + margin)

    def _enclosing(self, site: Site) -> Tensor:
        """The planes between which `enclose` looks, as `prepared` gives them."""
        return site.kept("planes", lambda: self._prepared(site))

    def derivatives(self, rounding: Rounding, *boxes: Interval) -> tuple[Interval, ...]:
        """All partial derivatives on the boxes, one interval for each input; at kinks all slopes in between."""
        raise UnsupportedOperationError(
            f"Lipschitz constants know no derivative of {type(self).__name__}; the bounds of the radius do without them"
        )

    def jacobian(self, gradient: Interval, site: Site) -> tuple[Interval, ...]:
        derivatives = self.derivatives(site.rounding, *site.boxes)
        return tuple(gradient.times(slopes, site.rounding.gamma(1)) for slopes in derivatives)

    def sloped(self, rounding: Rounding, slopes: Sequence[Tensor], *boxes: Interval) -> Planes | None:
        """Planes with the `slopes` that are asked for, the lower ones first, whatever these are; differentiable in them.

        None for functions that have no such rule.
        """
        return None

    def _prepared(self, site: Site) -> Tensor:
        return self.prepared(
            self.touching_planes(site) if site.touches else self.planes(site.rounding, *site.boxes), site
        )

    def prepared(self, planes: Planes, site: Site) -> Tensor:
        """(2 n + 2 or 3, *shape): means of the slopes, half their differences, the same of the intercepts, magnitude."""
        pairs = list(zip(planes.lower_slopes, planes.upper_slopes, strict=True))
        parts = [(low + up) / 2 for low, up in pairs] + [(low - up) / 2 for low, up in pairs]
        low, up = planes.lower_intercept, planes.upper_intercept
        parts += [(low + up) / 2, (low - up) / 2]
        if site.rounding.rigorous:
            parts.append(2 * planes.magnitude(site.boxes))
        return torch.stack([part.expand(low.shape) for part in parts])
