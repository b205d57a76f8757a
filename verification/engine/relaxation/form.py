"""Linear forms on windows: many linear functionals of one tensor at once, each on the part of it that it sees.

A neuron of a convolution sees a small window of every earlier layer. A batch of functionals is therefore kept as
`coefficients` of shape (P, K, *window) with one window position per p, so that bounding all neurons of a layer costs
what their receptive fields cost and not the whole clip for each. A dense functional is one whose window is everything.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Form:
    """`P * K` functionals of a tensor of shape `shape`: row (p, k) is `sum_w coefficients[p, k, w] x[offsets[p] + w]`.

    `coefficients`: (P or 1, K, *window); 1 means the same for every p. `offsets`: (P, len(shape)) int64 on the CPU, may be
    negative or reach over the end: coefficients outside the tensor are always zero (the invariant of this class).
    """

    coefficients: Tensor
    offsets: Tensor
    shape: tuple[int, ...]

    @classmethod
    def identity(cls, shape: tuple[int, ...], channel: int, dtype: torch.dtype, device: torch.device) -> "Form":
        """Each element of a tensor as a functional of its own: K runs along axis `channel`, P over all other axes."""
        count = shape[channel]
        axes = [torch.arange(1 if axis == channel else size) for axis, size in enumerate(shape)]
        offsets = torch.cartesian_prod(*axes).view(-1, len(shape))
        window = [count if axis == channel else 1 for axis in range(len(shape))]
        eye = torch.eye(count, dtype=dtype, device=device)
        return cls(eye.view(1, count, *window), offsets, shape)

    @classmethod
    def units(cls, shape: tuple[int, ...], index: Tensor, dtype: torch.dtype, device: torch.device) -> "Form":
        """Single elements as functionals: those at `index` (P, len(shape)), int64 on the CPU; K is 1."""
        one = torch.ones((1, 1, *[1] * len(shape)), dtype=dtype, device=device)
        return cls(one, index, shape)

    @classmethod
    def sums(cls, shape: tuple[int, ...], channel: int, dtype: torch.dtype, device: torch.device) -> "Form":
        """For every place, which is an index along all axes but `channel`, the sum over the channels; K is 1."""
        identity = cls.identity(shape, channel, dtype, device)
        return identity.like(identity.coefficients.sum(1, keepdim=True))

    @property
    def window(self) -> tuple[int, ...]:
        return tuple(self.coefficients.shape[2:])

    @property
    def positions(self) -> int:
        return int(self.offsets.shape[0])

    @property
    def is_dense(self) -> bool:
        return self.window == self.shape and not bool(self.offsets.any())

    def like(self, coefficients: Tensor) -> "Form":
        return Form(coefficients, self.offsets, self.shape)

    def rows(self, start: int, stop: int) -> "Form":
        """The functionals of the window positions start to stop."""
        coefficients = self.coefficients if self.coefficients.shape[0] == 1 else self.coefficients[start:stop]
        return Form(coefficients, self.offsets[start:stop], self.shape)

    def with_negative(self) -> "Form":
        """K doubled: the functionals and their negatives, for lower and upper bounds in one pass."""
        return self.like(torch.cat([self.coefficients, -self.coefficients], 1))

    def values(self, tensor: Tensor) -> Tensor:
        """`tensor` (m, *shape) seen through the windows: (P, m, *window); (1, m, *window) where all share their place."""
        if self.is_dense:
            return tensor.unsqueeze(0)
        if self.positions > 1 and bool((self.offsets == self.offsets[:1]).all()):
            return Form(self.coefficients[:1], self.offsets[:1], self.shape).values(tensor)
        rank = len(self.shape)
        windowed = [a for a in range(rank) if self.window[a] != self.shape[a] or bool(self.offsets[:, a].any())]
        fixed = [a for a in range(rank) if a not in windowed]
        moved = tensor.permute(*(a + 1 for a in windowed), 0, *(a + 1 for a in fixed))
        index = []
        for place, axis in enumerate(windowed):
            steps = torch.arange(self.window[axis]) + self.offsets[:, axis, None]
            view = [self.positions] + [1] * len(windowed)
            view[place + 1] = self.window[axis]
            index.append(steps.clamp(0, self.shape[axis] - 1).view(view).to(tensor.device))
        seen = moved[tuple(index)]  # (P, *windows of `windowed`, m, *`fixed`)
        source = {axis: 1 + place for place, axis in enumerate(windowed)}
        source |= {axis: 2 + len(windowed) + place for place, axis in enumerate(fixed)}
        return seen.permute(0, 1 + len(windowed), *(source[a] for a in range(rank)))

    def inside(self, axis: int) -> Tensor | None:
        """(P, window along `axis`) bool: which entries lie in the tensor; None if all do."""
        steps = torch.arange(self.window[axis]) + self.offsets[:, axis, None]
        mask = (steps >= 0) & (steps < self.shape[axis])
        return None if bool(mask.all()) else mask

    def clipped(self) -> "Form":
        """Coefficients outside the tensor set to zero, and cut away where all windows share their place."""
        form = self
        for axis in range(len(self.shape)):
            mask = form.inside(axis)
            if mask is None:
                continue
            start = form.offsets[:, axis]
            first = max(int(start[0]), 0)
            last = min(int(start[0]) + form.window[axis], form.shape[axis])
            if first < last and bool((start == start[0]).all()):
                form = form.placed(axis, torch.full_like(start, first), last - first)
                continue
            if form.window[axis] >= form.shape[axis]:
                form = form.full(axis)
                continue
            view = [self.positions] + [1] * (len(self.shape) + 1)
            view[axis + 2] = form.window[axis]
            zero_one = mask.to(form.coefficients.device, form.coefficients.dtype)
            form = form.like(form.coefficients * zero_one.view(view))
        return form

    def placed(self, axis: int, start: Tensor, length: int) -> "Form":
        """The same functionals on windows that begin at `start` (P,) along `axis` and are `length` long.

        Coefficients that fall out of the new window are dropped: the caller knows that they are zero or not wanted.
        """
        shift = start - self.offsets[:, axis]
        offsets = self.offsets.clone()
        offsets[:, axis] = start
        dim, width = axis + 2, self.window[axis]
        first = int(shift[0])
        if -length < first < width and bool((shift == shift[0]).all()):
            pad = [0, 0] * (len(self.shape) - 1 - axis) + [-first, length - (width - first)]
            return Form(functional.pad(self.coefficients, pad), offsets, self.shape)
        index = torch.arange(length) + shift[:, None]
        valid = (index >= 0) & (index < width)
        view = [self.positions] + [1] * (len(self.shape) + 1)
        view[dim] = length
        device = self.coefficients.device
        target = [self.positions, *self.coefficients.shape[1:]]
        source = self.coefficients.expand(target)
        target[dim] = length
        taken = source.gather(dim, index.clamp(0, width - 1).to(device).view(view).expand(target))
        return Form(taken * valid.to(device, taken.dtype).view(view), offsets, self.shape)

    def full(self, *axes: int) -> "Form":
        """The same functionals with windows that are the whole tensor along `axes`."""
        form = self
        for axis in axes:
            if form.window[axis] != form.shape[axis] or bool(form.offsets[:, axis].any()):
                form = form.placed(axis, torch.zeros_like(form.offsets[:, axis]), form.shape[axis])
        return form

    def __add__(self, other: "Form") -> "Form":
        left, right = self, other
        for axis in range(len(self.shape)):
            a, b = left.offsets[:, axis], right.offsets[:, axis]
            if left.window[axis] == right.window[axis] and torch.equal(a, b):
                continue
            start = torch.minimum(a, b)
            end = torch.maximum(a + left.window[axis], b + right.window[axis])
            length = int((end - start).max())
            left, right = left.placed(axis, start, length), right.placed(axis, start, length)
        return left.like(left.coefficients + right.coefficients)

    def contract(self, values: Tensor) -> Tensor:
        """`sum_w coefficients * values` for values (P or 1, *window), as one entry of what `values` returns; (P or 1, K)."""
        return (self.coefficients.flatten(2) @ values.flatten(1).unsqueeze(2)).squeeze(2)
