"""Small networks, regions and the referee that says whether bounds hold: shared by the soundness tests.

The referee never trusts a bound rule. It evaluates the graph concretely in float64 on points of the region, random ones,
extreme ones, and ones that an attack on the margins found, and reports by how much any value leaves its interval.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tests.engine.networks import (
    HEIGHT,
    LENGTH,
    WIDTH,
    Activations,
    Borders,
    Cells,
    Matrices,
    Pooling,
    PoolingOfLines,
    Rearranged,
    Resized,
    Transposed,
)
from verification.engine.bounds.ball import ball_around
from verification.engine.bounds.linear import LinearBounds
from verification.engine.bounds.region import Region
from verification.engine.network.export import export_graph
from verification.engine.network.graph import Graph
from verification.engine.network.operations.base import Elementwise
from verification.engine.perturbation import Norm, Space, build_space
from verification.engine.relaxation import Form, Interval, Rounding

CPU = torch.device("cpu")
#: Float64 evaluates the points themselves with this error, at most.
TOLERANCE = {True: 1e-11, False: 1e-4}


class Chain(nn.Module):
    """(1, l, 3, h, w) with time and channels exchanged for 3D layers, the given layers, and a linear head to 3 logits."""

    def __init__(self, *layers: nn.Module, per_frame: bool = False) -> None:
        super().__init__()
        self.layers, self.per_frame = nn.Sequential(*layers), per_frame
        with torch.no_grad():
            size = self._features(torch.rand(1, LENGTH, 3, HEIGHT, WIDTH)).shape[1]
        self.head = nn.Linear(size, 3)

    def _features(self, clip: Tensor) -> Tensor:
        inner = clip.flatten(0, 1) if self.per_frame else clip.transpose(1, 2)
        return self.layers(inner).reshape(1, -1)

    def forward(self, clip: Tensor) -> Tensor:
        return self.head(self._features(clip))


class Recurrent(nn.Module):
    """A strided convolution a frame, a recurrent layer, a linear head."""

    def __init__(self, kind: type[nn.Module], size: int = 5, **options: object) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 4, stride=3)
        self.recurrent = kind(4 * 2 * 3, size, batch_first=True, **options)
        self.head = nn.LazyLinear(3)
        with torch.no_grad():
            self(torch.rand(1, LENGTH, 3, HEIGHT, WIDTH))

    def forward(self, clip: Tensor) -> Tensor:
        frames = torch.relu(self.stem(clip.flatten(0, 1))).reshape(1, clip.shape[1], -1)
        states, _ = self.recurrent(frames)
        return self.head(states.mean(1))


class Residual(nn.Module):
    """Two branches with different windows that meet in a sum, a concatenation and a product."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.head = nn.Linear(8 * LENGTH, 3)

    def forward(self, clip: Tensor) -> Tensor:
        x = clip.flatten(0, 1)
        a, b = torch.relu(self.wide(x)), self.narrow(x)
        both = torch.cat([a - b, torch.sigmoid(a) * b], 1)
        return self.head(torch.tanh(both).mean((2, 3)).reshape(1, -1))


class LessTheMaxima(nn.Module):
    """One logit is minus the sum of all maxima, so that its lower bound rests on the upper planes alone."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.signs = nn.MaxPool3d(2), nn.Parameter(torch.tensor([[-1.0, 0.0, 0.5]]))

    def forward(self, clip: Tensor) -> Tensor:
        return self.pool(clip.transpose(1, 2)).flatten(1).sum(1, keepdim=True) @ self.signs


class Layout(nn.Module):
    """Begins with slicing and exchanging channels, pads, selects frames, and normalises, as input compilation does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, stride=2), nn.Linear(4 * 5 * 5, 3)

    def forward(self, clip: Tensor) -> Tensor:
        swapped = torch.cat([clip[:, :, 2:3], clip[:, :, 1:2], clip[:, :, 0:1]], 2)
        x = (swapped[:, 1:] - 0.4) / 0.3
        x = x[:, 0] + 2 * x[:, -1] - x.select(1, 1).flip(-1)
        return self.head(torch.relu(self.conv(nn.functional.pad(x, (1, 1, 1, 1)))).flatten(1))


class SideBySide(nn.Module):
    """Two convolutions of different numbers of channels, joined before their activation."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 2, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.after, self.head = nn.Conv2d(6, 3, 3, stride=2), nn.Linear(LENGTH * 3 * 4 * 4, 3)

    def forward(self, clips: Tensor) -> Tensor:
        x = torch.cat([self.left(clips[0]), self.right(clips[0])], 1).relu()
        logits: Tensor = self.head(self.after(x).relu().reshape(1, -1))
        return logits


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "side by side": SideBySide,
    "conv3d": lambda: Chain(
        nn.Conv3d(3, 4, (2, 3, 3), stride=(1, 2, 2), padding=(1, 1, 1)), nn.ReLU(), nn.Conv3d(4, 3, 2)
    ),
    "conv2d deep": lambda: Chain(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2, dilation=2, padding=2),
        nn.LeakyReLU(0.1),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.ReLU(),
        per_frame=True,
    ),
    "batch norm and average": lambda: Chain(
        nn.Conv3d(3, 4, 3, padding=1), nn.BatchNorm3d(4), nn.Tanh(), nn.AvgPool3d(2), nn.Conv3d(4, 4, 2), nn.Sigmoid()
    ),
    "max pool": lambda: Chain(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(4, 4, 2),
        nn.MaxPool2d(2),
        per_frame=True,
    ),
    "pooled convolutions": lambda: Chain(
        nn.Conv2d(3, 5, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 4, (2, 3), padding=(0, 2), dilation=(1, 2)),
        nn.ReLU(),
        nn.MaxPool2d((1, 2)),
        nn.Conv2d(4, 4, 2),
        nn.ReLU(),
        per_frame=True,
    ),
    "pooled strides": lambda: Chain(
        nn.Conv2d(3, 4, 2, stride=2), nn.MaxPool2d(2), nn.Conv2d(4, 4, 2), nn.ReLU(), per_frame=True
    ),
    "pool after pool": lambda: Chain(
        nn.Conv2d(3, 4, 2), nn.MaxPool2d(2, stride=1), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(4, 3, 2), per_frame=True
    ),
    "linear": lambda: Chain(nn.Identity()),
    "less the maxima": LessTheMaxima,
    "max pool 3d": lambda: Chain(nn.Conv3d(3, 4, 2), nn.MaxPool3d(2), nn.ReLU(), nn.AdaptiveAvgPool3d(1)),
    "lstm": lambda: Recurrent(nn.LSTM),
    "lstm, stacked and bidirectional": lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True),
    "gru": lambda: Recurrent(nn.GRU),
    "rnn": lambda: Recurrent(nn.RNN),
    "rnn with ReLU": lambda: Recurrent(nn.RNN, nonlinearity="relu"),
    "lstm with projection": lambda: Recurrent(nn.LSTM, proj_size=2),
    "residual": Residual,
    "layout": Layout,
} | {
    kind.__name__: (lambda kind=kind: kind().with_head())
    for kind in (Activations, Transposed, Borders, Pooling, PoolingOfLines, Rearranged, Resized, Matrices, Cells)
}


def make_network(name: str, seed: int, gain: float = 1.5) -> nn.Module:
    """A random network; its weights are enlarged by `gain`, so that activations leave their linear parts."""
    torch.manual_seed(seed)
    module = NETWORKS[name]().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(gain)
        for buffer_name, buffer in module.named_buffers():
            if buffer_name.endswith(("running_mean", "running_var")):
                buffer.copy_(torch.rand_like(buffer) * 0.5 + 0.2)
    return module


@functools.cache
def make_graph(name: str, seed: int, gain: float = 1.5) -> Graph:
    return export_graph(make_network(name, seed, gain), (1, LENGTH, 3, HEIGHT, WIDTH))


def make_frames(seed: int) -> Tensor:
    """(l, 3, h, w): smooth random pictures with some hard edges."""
    generator = torch.Generator().manual_seed(seed)
    rough = torch.rand((LENGTH, 3, HEIGHT + 2, WIDTH + 2), generator=generator)
    smooth = nn.functional.avg_pool2d(rough, 3, 1)
    return torch.where(torch.rand(smooth.shape, generator=generator) < 0.1, smooth.round(), smooth)


@dataclass(frozen=True)
class Points:
    """How to draw members of a region: `shape` of the coordinates, their norm, and the clip that they make."""

    shape: tuple[int, ...]
    norm: Norm
    norm_of: Callable[[Tensor], Tensor]
    clip_of: Callable[[Tensor], Tensor]
    radius: float

    def draw(self, count: int, seed: int) -> list[Tensor]:
        """Coordinates on the boundary: dense, signs only, and sparse ones, in turn; the centre last."""
        generator = torch.Generator().manual_seed(seed)
        drawn = []
        for number in range(count):
            a = torch.randn(self.shape, generator=generator, dtype=torch.float64)
            if number % 3 == 1:
                a = a.sign()
            elif number % 3 == 2:
                keep = torch.rand(self.shape, generator=generator) < 3 / a.numel()
                keep.view(-1)[int(torch.randint(a.numel(), (), generator=generator))] = True
                a = a * keep
            drawn.append(self.onto(a))
        return [*drawn, torch.zeros(self.shape, dtype=torch.float64)]

    def steepest(self, gradient: Tensor) -> Tensor:
        """The direction on the unit sphere in which a function with this gradient rises fastest (for a scaled Lp norm)."""
        if self.norm is Norm.LINF:
            direction = gradient.sign()
        elif self.norm is Norm.L1:
            direction = gradient * (gradient.abs() >= 0.999 * gradient.abs().max())
        else:
            direction = gradient
        return direction / self.norm_of(direction)

    def onto(self, a: Tensor) -> Tensor:
        """`a` scaled to the boundary, a hair inside."""
        return a / self.norm_of(a) * self.radius * (1 - 1e-12)


def make_space(kind: str, frames: Tensor, flows: tuple[int, ...] | None = None) -> Space:
    """A space for the clip `frames`. Where it depends on the clip's flow, that is noise."""
    length, _, height, width = frames.shape
    flow = torch.randn((length - 1, 2, height, width), generator=torch.Generator().manual_seed(0))
    return build_space(kind, length, height, width, flows, lambda: flow)


def flow_region(
    frames: Tensor, kind: str, norm: Norm, radius: float, rounding: Rounding, flows: tuple[int, ...] | None = None
) -> tuple[Region, Points]:
    """The ball of a space, with its points."""
    space = make_space(kind, frames, flows)
    points = Points(
        space.shape,
        norm,
        lambda a: space.norm(a, norm),
        lambda a: space.perturbed(frames.double(), space.lift(a)),
        radius,
    )
    return ball_around(frames, space, norm, radius, rounding), points


def radius_for(kind: str, norm: Norm, size: float) -> float:
    """A radius of comparable effect in every norm and space; `size` about 1 keeps displacements around half a pixel."""
    base = {Norm.L1: 2.0, Norm.L2: 0.6, Norm.LINF: 0.1}[norm]
    if kind == "pixels":
        return base * size * 0.3
    stretch = {Norm.L1: HEIGHT * WIDTH, Norm.L2: (HEIGHT * WIDTH) ** 0.5, Norm.LINF: 2.0}[norm]
    if kind in ("translation", "affine"):
        return base * size * stretch
    return base * size * (stretch / 2 if kind.startswith("blocks") else 1.0)


def bounds_of(graph: Graph, region: Region, memory: int = 1 << 21) -> LinearBounds:
    with torch.no_grad():
        return LinearBounds(graph.cast(region.rounding.dtype, CPU), region, memory=memory)


def concrete_values(graph: Graph, clip: Tensor) -> list[Tensor]:
    """Every value of the graph on one clip (l, 3, h, w), float64."""
    values = [clip.unsqueeze(0)]
    for node in graph.nodes:
        values.append(node.operation.concrete(*(values[i] for i in node.inputs)))
    return values


def attacked(graph: Graph, points: Points, label: int, seed: int, steps: int = 12) -> list[Tensor]:
    """Points that descend each margin: steepest steps of falling length, scaled back onto the boundary."""
    found = []
    starts = points.draw(2, seed)
    for other in range(graph.output_shape[1]):
        if other == label:
            continue
        a = starts[other % 2].clone()
        for step in range(steps):
            a = a.requires_grad_()
            logits = graph(points.clip_of(a).unsqueeze(0))[0]
            (gradient,) = torch.autograd.grad(logits[label] - logits[other], a)
            a = a.detach()
            if not bool(gradient.any()):
                break
            stride = points.radius * 2.0 / (1 + 0.5 * step)
            a = points.onto(a - points.steepest(gradient) * stride)
        found.append(a)
    return found


def worst_violation(graph: Graph, region: Region, points: Points, seed: int, count: int = 30) -> float:
    """How far any value of any point leaves its interval, or any margin its lower bound; at most 0 if all holds."""
    linear = bounds_of(graph, region)
    worst = -float("inf")
    with torch.no_grad():
        margins = {label: linear.margins(label).double() for label in range(graph.output_shape[1])}
    attacks = [a for label in margins for a in attacked(graph, points, label, seed)]
    with torch.no_grad():
        for a in [*points.draw(count, seed), *attacks]:
            values = concrete_values(graph, points.clip_of(a))
            for box, value in zip(linear.boxes, values, strict=True):
                worst = max(worst, float((box.lower.double() - value).max()), float((value - box.upper.double()).max()))
            logits = values[-1][0]
            for label, lower in margins.items():
                others = torch.cat([logits[:label], logits[label + 1 :]])
                worst = max(worst, float((lower - (logits[label] - others)).max()))
    return worst


def worst_plane(operation: Elementwise, arity: int, span: float, seed: int, steep: float | None = None) -> float:
    """How far an elementwise function leaves its planes, or its interval, on random boxes of width up to `span`.

    With `steep` the planes are those for random slopes of about that size (`Elementwise.sloped`).
    """
    generator = torch.Generator().manual_seed(seed)
    boxes = []
    for _ in range(arity):
        ends = (torch.rand((2, 400), generator=generator, dtype=torch.float64) - 0.5) * span
        boxes.append(Interval(ends.amin(0), ends.amax(0)))
    rounding = Rounding(rigorous=True)
    planes, box = operation.planes(rounding, *boxes), operation.interval(rounding, *boxes)
    if steep is not None:
        slopes = torch.randn((2 * arity, 400), generator=generator, dtype=torch.float64) * steep
        free = operation.sloped(rounding, slopes.unbind(0), *boxes)
        assert free is not None
        planes = free
    worst = -float("inf")
    for step in range(101):
        # Ends and middle of every input in all combinations first, random members after that.
        share = [torch.full((400,), ((step // 3**i) % 3) / 2, dtype=torch.float64) for i in range(arity)]
        if step >= 3**arity:
            share = [torch.rand(400, generator=generator, dtype=torch.float64) for _ in range(arity)]
        x = [b.lower + s * (b.upper - b.lower) for b, s in zip(boxes, share, strict=True)]
        value = operation.concrete(*x)
        low = sum((s * v for s, v in zip(planes.lower_slopes, x, strict=True)), planes.lower_intercept)
        high = sum((s * v for s, v in zip(planes.upper_slopes, x, strict=True)), planes.upper_intercept)
        for excess in (low - value, value - high, box.lower - value, value - box.upper):
            worst = max(worst, float(excess.max()))
    return worst


def far_edge_violation() -> float:
    """How far the value of one pixel in a flat picture leaves its bound when it moves across an edge three pixels away."""
    frames = torch.zeros((LENGTH, 3, HEIGHT, WIDTH))
    frames[..., 6:] = 1.0
    region, points = flow_region(frames, "dense", Norm.L2, 5.0, Rounding(rigorous=True))
    weights = torch.zeros((1, 1, 1, *frames.shape), dtype=torch.float64)
    weights[..., 1, 0, 4, 3] = -1.0  # frame 2, first channel, row 4, column 3: its negative falls when the edge comes
    form = Form(weights, torch.zeros((1, 5), dtype=torch.int64), (1, *frames.shape))
    a = torch.zeros(points.shape, dtype=torch.float64)
    a[0, 0, 4, 3] = -4.0
    return float(region.minimum(form)) + float(points.clip_of(a)[1, 0, 4, 3])
