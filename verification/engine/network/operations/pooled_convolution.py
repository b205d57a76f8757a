"""Convolution and max-pooling after it, pulled back in one step: one matrix for every pooling window (docs/bounds.md)."""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from verification.engine.network.operations.base import Pulled, Shape, Site
from verification.engine.network.operations.convolution import Convolution
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.relaxation import Form

#: Elements of all matrices of one layer; with more of them the two operations are pulled back one after the other.
_LARGEST = 1 << 27
#: For fewer functionals the matrices are not worth making.
_MANY = 32


@dataclass(frozen=True)
class PooledConvolution:
    """`pool(convolution(x))` over two axes, with windows side by side.

    The planes of max-pooling choose elements of the convolution's output, the same for every functional: so a coefficient of
    a pooled element is one patch of coefficients of x, whatever the functional. A functional is a product with a matrix
    (2 channels, patch) for each window, instead of a sparse tensor sixteen times as large that is then convolved.
    """

    pool: MaxPool
    convolution: Convolution

    @classmethod
    def build(cls, pool: MaxPool, convolution: Convolution) -> "PooledConvolution | None":
        """None where the windows overlap or reach beyond the edge, and for convolutions with groups."""
        plain = type(convolution) is Convolution and convolution.groups == 1 and convolution.rank == pool.rank == 2
        apart = pool.stride == pool.kernel and not any(pool.padding) and set(pool.dilation) == {1} and not pool.ceil
        return cls(pool, convolution) if plain and apart else None

    @property
    def _patch(self) -> tuple[int, int]:
        """Height and width of what a pooling window sees of x."""
        conv = self.convolution
        sides = zip(self.pool.kernel, conv.stride, conv.weight.shape[2:], conv.dilation, strict=True)
        height, width = ((n - 1) * step + (k - 1) * gap + 1 for n, step, k, gap in sides)
        return height, width

    @property
    def _stride(self) -> tuple[int, int]:
        """How far apart in x the patches of two neighbouring windows begin."""
        high, wide = (a * b for a, b in zip(self.pool.stride, self.convolution.stride, strict=True))
        return high, wide

    def pays(self, form: Form, functionals: int, pool_site: Site) -> bool:
        """Whether `form`, one of so many, is better pulled back this way: the matrices are worth making, or made."""
        room = self._size(form.shape) * form.coefficients.element_size() <= pool_site.allowance.left
        return ("matrices" in pool_site.memory or (functionals >= _MANY and room)) and self.fits(form)

    def _size(self, shape: Shape) -> int:
        """The elements of all matrices for a pooled tensor of this shape."""
        return 2 * math.prod(shape) * self.convolution.weight.shape[1] * math.prod(self._patch)

    def fits(self, form: Form) -> bool:
        """Whether `form` of the pooled tensor can be pulled back this way: its windows share their place, inside the tensor."""
        if (
            self._size(form.shape) > _LARGEST
            or form.window[1] != form.shape[1]
            or not bool((form.offsets == form.offsets[:1]).all())
        ):
            return False
        places = zip(form.offsets[0].tolist(), form.window, form.shape, strict=True)
        return all(start >= 0 and start + length <= size for start, length, size in places)

    def backward(self, form: Form, pool_site: Site, site: Site) -> Pulled:
        """As `Operation.backward`, from the pooled tensor to the convolution's input."""
        matrices, weight = pool_site.kept("matrices", lambda: self._matrices(pool_site, site))
        a = form.coefficients
        n, _, y, x = form.offsets[0].tolist()
        t, _, h, w = form.window
        conv, stride = self.convolution, self._stride
        size = [(count - 1) * step + side for count, step, side in zip((h, w), stride, self._patch, strict=True)]
        cells = matrices[n : n + t, y : y + h, x : x + w].flatten(0, 2)  # (t h w, patch + 1, 2 C)
        rows = a.flatten(0, 1).permute(1, 3, 4, 2, 0).reshape(t * h * w, form.window[1], -1)  # functionals last
        patches = torch.bmm(cells, torch.cat([rows.clamp(min=0), rows.clamp(max=0)], 1)).view(
            t, h, w, -1, rows.shape[2]
        )
        constant = patches[..., -1, :].sum((0, 1, 2)).view(a.shape[:2])
        pulled = (
            self._overlaid(patches[..., :-1, :]).permute(4, 0, 1, 2, 3).contiguous().view(*a.shape[:2], t, -1, *size)
        )
        offsets = torch.zeros_like(form.offsets)
        offsets[:, 0] = n
        offsets[:, 2] = y * stride[0] - conv.padding[0]
        offsets[:, 3] = x * stride[1] - conv.padding[1]
        if site.rounding.rigorous:
            margin = form.like(a.abs()).contract(form.values(weight)[:, 0])
            terms = a[0, 0].numel() + cells.shape[2] + math.prod(self.pool.kernel) + conv.terms + math.prod(self._patch)
            constant = constant - site.rounding.gamma(terms) * margin
        return Pulled((Form(pulled, offsets, site.shapes[0]).clipped(),), constant)

    def _overlaid(self, patches: Tensor) -> Tensor:
        """(t, h, w, patch, R), each patch put in its place and added to its neighbours: (t, in, high, wide, R)."""
        (t, h, w, _, count), (high, wide), (down, right) = patches.shape, self._patch, self._stride
        parts = patches.unflatten(3, (-1, high, wide))
        # Whole strides, so that one offset within a patch is one slice of the result.
        total = parts.new_zeros(
            (t, parts.shape[3], h + -(-high // down) - 1, down, w + -(-wide // right) - 1, right, count)
        )
        for i, j in itertools.product(range(high), range(wide)):
            (y, dy), (x, dx) = divmod(i, down), divmod(j, right)
            total[:, :, y : y + h, dy, x : x + w, dx] += parts[:, :, :, :, i, j].permute(0, 3, 1, 2, 4)
        whole = total.view(t, parts.shape[3], total.shape[2] * down, total.shape[4] * right, count)
        return whole[:, :, : (h - 1) * down + high, : (w - 1) * right + wide]

    def _matrices(self, pool_site: Site, site: Site) -> tuple[Tensor, Tensor]:
        """(n, h, w, patch + 1, 2 C), lower planes first, the last row their constants; and (1, n, C, h, w) magnitudes."""
        planes = self.pool.planes(pool_site)
        count = math.prod(self.pool.kernel)
        low, up, constant, weight = planes[:count], planes[count : 2 * count], planes[-2], planes[-1]
        kernels = self._kernels()  # (C, k, patch + 1)
        parts = []
        for chosen in (low, up):
            by_channel = chosen.permute(2, 1, 3, 4, 0).flatten(1, 3)  # (C, n h w, k)
            parts.append(torch.bmm(by_channel, kernels).view(low.shape[2], low.shape[1], *low.shape[3:], -1))
        parts[1][..., -1] += constant.transpose(0, 1)
        matrices = torch.cat(parts).permute(1, 2, 3, 4, 0).contiguous()
        if site.rounding.rigorous:
            sizes = self.pool.windows(self.convolution.magnitude(site.boxes[0])).movedim(-1, 0)
            weight = weight + ((low + up.abs()) * sizes).sum(0)
        return matrices, weight.unsqueeze(0)

    def _kernels(self) -> Tensor:
        """(C, k, patch + 1): the kernel of every channel moved to every element of a pooling window, and its bias."""
        conv, (high, wide) = self.convolution, self._patch
        weight = conv.weight
        moved = weight.new_zeros((weight.shape[0], math.prod(self.pool.kernel), weight.shape[1], high, wide))
        for element in range(moved.shape[1]):
            y, x = divmod(element, self.pool.kernel[1])
            rows = slice(
                y * conv.stride[0], y * conv.stride[0] + (weight.shape[2] - 1) * conv.dilation[0] + 1, conv.dilation[0]
            )
            columns = slice(
                x * conv.stride[1], x * conv.stride[1] + (weight.shape[3] - 1) * conv.dilation[1] + 1, conv.dilation[1]
            )
            moved[:, element, :, rows, columns] = weight
        bias = conv.bias.view(-1, 1, 1).expand(-1, moved.shape[1], 1)
        return torch.cat([moved.flatten(2), bias], 2)
