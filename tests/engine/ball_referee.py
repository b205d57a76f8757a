"""Small networks over tiny clips, and the referee that says whether the checker's bounds of a whole ball hold.

The referee trusts no rule: it imposes perturbations on the clip, computes the graph in float64, and reports by how much anything
leaves what the checker says of it, at most 0 where all holds.
"""

import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.engine.bounding import LessTheMaxima, Points, attacked, concrete_values, make_space
from tests.engine.networks import Pooled
from verification.engine.certificate import ball_checker
from verification.engine.certificate.ball_checker import BallChecker
from verification.engine.certificate.curves import curve_of
from verification.engine.certificate.planes import planes_of, range_of
from verification.engine.certificate.reached import reached
from verification.engine.network.export import export_graph
from verification.engine.network.graph import Graph, Node
from verification.engine.network.operations.base import Operation
from verification.engine.network.operations.linear import Linear
from verification.engine.network.operations.max_pool import MaxPool
from verification.engine.network.operations.product import Product
from verification.engine.network.operations.reduction import Sum
from verification.engine.network.operations.shape import Reshape
from verification.engine.perturbation import Norm

LENGTH, HEIGHT, WIDTH = 3, 6, 8
CLIP = (1, LENGTH, 3, HEIGHT, WIDTH)


class Layers(nn.Module):
    """(1, l, 3, h, w) through layers that take a frame, or a clip with its channels first, and a linear head to 3 logits."""

    def __init__(self, *layers: nn.Module, per_frame: bool = True) -> None:
        super().__init__()
        self.layers, self.per_frame = nn.Sequential(*layers), per_frame
        self.head = nn.Linear(self.features(torch.rand(CLIP)).shape[1], 3)

    def features(self, clip: Tensor) -> Tensor:
        features: Tensor = self.layers(clip[0] if self.per_frame else clip.transpose(1, 2))
        return features.reshape(1, -1)

    def forward(self, clip: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(clip))
        return logits


class Curves(nn.Module):
    """Every function of one variable for which the checker has a rule, each on a channel of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.functions: list[Callable[[Tensor], Tensor]] = [
            *(
                nn.GELU(),
                nn.SiLU(),
                nn.Hardswish(),
                nn.ReLU6(),
                nn.Hardtanh(-0.3, 0.4),
                nn.PReLU(init=-0.4),
                nn.ELU(0.7),
            ),
            *(nn.SELU(), nn.CELU(1.5), nn.Softplus(2.0), nn.LogSigmoid(), torch.exp, torch.abs, torch.tanh),
            *(lambda x: x**2, lambda x: x**3, lambda x: x.clamp(min=-0.2), lambda x: x.clamp(max=0.1), torch.sigmoid),
        ]
        self.convolution = nn.Conv2d(3, len(self.functions), 3, stride=3)
        self.head = nn.Linear(LENGTH * len(self.functions) * 4, 3)

    def forward(self, clip: Tensor) -> Tensor:
        parts = self.convolution(clip[0]).split(1, 1)
        done = [function(part) for function, part in zip(self.functions, parts, strict=True)]
        logits: Tensor = self.head(torch.cat(done, 1).reshape(1, -1))
        return logits


class Joined(nn.Module):
    """Values with several readers, an operation that reads one value twice, factors that are broadcast, elements repeated."""

    fixed: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(39, 3)
        self.register_buffer("fixed", torch.rand(LENGTH, 1, HEIGHT, WIDTH))

    def forward(self, clip: Tensor) -> Tensor:
        x = self.convolution(clip[0])
        mean = x.mean((2, 3), keepdim=True)
        parts = [
            (x + x) * (x + x),
            torch.sigmoid(x) * torch.tanh(x),
            x * mean,
            torch.relu(mean.expand_as(x) - x.flip(0)),
            torch.cat([x[:, [0, 0]], self.fixed], 1) - clip[0],
        ]
        pooled = functional.max_pool2d(parts[2] - x, 3, 2, 1)
        features = [torch.relu(part - 0.1).mean((2, 3)).flatten()[:6] for part in parts]
        logits: Tensor = self.head(torch.cat([*features, pooled.mean((2, 3)).flatten()])[None])
        return logits


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: Layers(nn.Identity()),
    "convolutions": lambda: Layers(
        nn.Conv2d(3, 4, 3, stride=(2, 1), padding=(2, 1)),
        nn.LeakyReLU(0.1),
        nn.Conv2d(4, 4, 2, dilation=2, groups=2, padding=1),
        nn.ReLU(),
    ),
    "over frames": lambda: Layers(nn.Conv3d(3, 3, 2, stride=(1, 2, 2), padding=(1, 0, 1)), nn.ReLU(), per_frame=False),
    "transposed": lambda: Layers(
        nn.Conv2d(3, 3, 2, stride=2),
        nn.ConvTranspose2d(3, 3, 2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(3, 3, 3, stride=2, output_padding=1),
        nn.ReLU(),
    ),
    "max pool": lambda: Layers(nn.Conv2d(3, 3, 2), nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)),
    "maxima": LessTheMaxima,
    "pooled": Pooled,
    "curves": Curves,
    "joined": Joined,
}


def _broadcast() -> Graph:
    """A product of two shapes, which no export makes: there they are expanded first."""
    summed, features = (*CLIP[:3], 1, 1), math.prod(CLIP)
    linear = Linear(torch.randn(features, 3).double() / 10, torch.zeros(3).double())
    return Graph(
        CLIP,
        (
            Node(Sum((3, 4)), (0,), summed, "sum", "here"),
            Node(Product(), (0, 1), CLIP, "product", "here"),
            Node(Reshape((1, features)), (2,), (1, features), "flat", "here"),
            Node(linear, (3,), (1, 3), "head", "here"),
        ),
    )


@functools.cache
def make_graph(name: str, seed: int = 1) -> Graph:
    """With random weights, larger than usual so that activations leave their linear parts."""
    torch.manual_seed(seed)
    if name == "broadcast":
        return _broadcast()
    module = NETWORKS[name]().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2.0)
    return export_graph(module, CLIP).cast(torch.float64, torch.device("cpu"))


def make_frames(seed: int, shape: Sequence[int] = CLIP[1:]) -> Tensor:
    """(l, 3, h, w) float64: noise, a tenth of it at the ends of its range."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.rand(tuple(shape), generator=generator)
    return torch.where(torch.rand(tuple(shape), generator=generator) < 0.1, frames.round(), frames).double()


def points_of(frames: Tensor, kind: str, norm: Norm, radius: float, flows: tuple[int, ...] | None = None) -> Points:
    """Members of the ball."""
    space = make_space(kind, frames, flows)
    return Points(
        space.shape,
        norm,
        lambda a: space.norm(a, norm),
        lambda a: space.perturbed(frames, space.lift(a)),
        radius,
    )


def label_of(graph: Graph, frames: Tensor) -> int:
    return int(graph(frames.unsqueeze(0)).argmax())


def margin_of(logits: Tensor, label: int) -> float:
    """The least margin, of logits (1, C)."""
    others = torch.cat([logits[0, :label], logits[0, label + 1 :]])
    return float(logits[0, label] - others.amax())


def worst_excess(
    name: str, kind: str, norm: Norm, radius: float, flows: tuple[int, ...] | None = None, seed: int = 1, count: int = 8
) -> float:
    """By how much a network's value leaves its box, or a class's margin is below its bound, at points of the ball.

    Which class is attacked depends on the seed; bounds must hold for all of them.
    """
    graph, frames = make_graph(name), make_frames(seed)
    points, attacked_label = points_of(frames, kind, norm, radius, flows), (label_of(graph, frames) + seed) % 3
    with torch.no_grad():
        region = reached(frames, make_space(kind, frames, flows), norm, radius)
        walk = ball_checker._Walk(graph, region, unchecked)
        bounds, worst = [walk.margin(label) for label in range(3)], -float("inf")
    for a in [*points.draw(count, seed), *attacked(graph, points, attacked_label, seed, steps=8)]:
        with torch.no_grad():
            values = concrete_values(graph, points.clip_of(a))
        for (low, high), value in zip(walk.boxes, values, strict=True):
            worst = max(worst, float((low - value).max()), float((value - high).max()))
        worst = max(worst, *(bound - margin_of(values[-1], label) for label, bound in enumerate(bounds)))
    return worst


def proven_margin(name: str, kind: str, norm: Norm, radius: float, flows: tuple[int, ...] | None = None) -> float:
    """The checker's own bound for the network's class."""
    graph, frames = make_graph(name), make_frames(1)
    space = make_space(kind, frames, flows)
    return BallChecker(graph, frames, space, norm, label_of(graph, frames)).margin(radius, unchecked)


def worst_functional(
    frames: Tensor, kind: str, norm: Norm, radius: float, flows: tuple[int, ...] | None = None, seed: int = 0
) -> float:
    """By how much a functional of the clip falls below its bound, or a pixel leaves its range.

    Functionals: of all pixels, of some, and of a single one; each is attacked from several places.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn((6, *frames.shape), generator=generator, dtype=torch.float64)
    weights[2:4] *= torch.rand(weights[2:4].shape, generator=generator) < 0.1
    weights[4:] *= 0
    weights[4, -1, 0, -1, -1], weights[5, -1, 1, 0, -1] = 1.0, -1.0
    region = reached(frames, make_space(kind, frames, flows), norm, radius)
    low, high = (side[0] for side in region.box())
    least, points = region.least(weights.unsqueeze(1)), points_of(frames, kind, norm, radius, flows)
    worst = -float("inf")
    starts = points.draw(6, seed)
    descents = [descended(points, weight, start) for weight in weights for start in starts[:2]]
    for a in [*starts, *(0.3 * start for start in starts), *descents]:
        clip = points.clip_of(a)
        worst = max(worst, float((low - clip).max()), float((clip - high).max()))
        worst = max(worst, float((least - (weights * clip).flatten(1).sum(1)).max()))
    return worst


def descended(points: Points, weight: Tensor, a: Tensor) -> Tensor:
    """Where steepest descent of a functional (l, 3, h, w) of the clip arrives."""
    for step in range(8):
        a = a.detach().requires_grad_()
        (slope,) = torch.autograd.grad((weight * points.clip_of(a)).sum(), a)
        if not bool(slope.any()):
            break
        a = points.onto(a.detach() - points.steepest(slope) * points.radius * 2 / (1 + step))
    return a.detach()


def far_affine_excess() -> float:
    """The same for three pixels whose rates make any affine field do nothing, and a field that goes far beyond the frame.

    Rates that hold up to the frame's far side do not hold beyond, where nothing changes any more.
    """
    rising, falling = [0.2, 0.3, 0.4, 0.5, 1.0], [0.8, 0.7, 0.6, 0.5, 0.44]
    frames = torch.zeros(2, 3, 5, 5, dtype=torch.float64)
    frames[:, 0], frames[:, 1] = torch.tensor([rising, falling], dtype=torch.float64).unsqueeze(1)
    weights = torch.zeros_like(frames)
    weights[1, 0, 3, 3], weights[1, 1, 2:5:2, 3] = 2.0, 1 / 0.6
    space = make_space("affine", frames)
    a = torch.zeros(space.shape, dtype=torch.float64)
    a[0, 0, 2] = 8.0
    least = reached(frames, space, Norm.L2, float(space.norm(a, Norm.L2))).least(weights[None, None])
    return float(least) - float((weights * space.perturbed(frames, space.lift(a))).sum())


def some_intervals(seed: int) -> tuple[Tensor, Tensor]:
    """(n,) each: from single points to wide ones, many with an end at a knot, some far out."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.tensor([0.0, 0.1, -0.3, 0.4, 0.5, 3.0, -3.0, 20.0, -40.0, 600.0, -1e6], dtype=torch.float64)
    widths = torch.tensor([0.0, 1e-12, 1e-4, 0.05, 0.6, 2.5, 9.0, 60.0], dtype=torch.float64)
    place, width = (part.flatten() for part in torch.meshgrid(places, widths, indexing="ij"))
    share = torch.randint(0, 3, place.shape, generator=generator) / 2
    return place - share * width, place + (1 - share) * width


def worst_curve(operation: Operation, seed: int) -> float:
    """By how much a function of one variable leaves its extremes above lines, its planes or its range, relative to its size."""
    curve = curve_of(operation)
    assert curve is not None
    generator = torch.Generator().manual_seed(seed)
    low, high = some_intervals(seed)
    planes, (least, most) = planes_of(operation, [(low, high)]), range_of(operation, [(low, high)])
    chord = ((operation.concrete(high) - operation.concrete(low)) / (high - low).clamp(min=1e-300)).nan_to_num(0, 0, 0)
    random = 2 * torch.randn(low.shape, generator=generator, dtype=torch.float64)
    lines = [(slope, *curve.extremes(slope, low, high)) for slope in (chord, random)]
    worst = -float("inf")
    for share in torch.cat([torch.linspace(0, 1, 301), torch.rand(100, generator=generator)]).double():
        x = (low + share * (high - low)).clamp(low, high)
        value = operation.concrete(x)
        gaps = [(least, value, 0 * x), (value, most, 0 * x)]
        gaps += [(planes.lower[0] * x + planes.below, value, planes.lower[0] * x)]
        gaps += [(value, planes.upper[0] * x + planes.above, planes.upper[0] * x)]
        for slope, bottom, top in lines:
            gaps += [(bottom, value - slope * x, slope * x), (value - slope * x, top, slope * x)]
        for under, over, size in gaps:
            excess = (under - over) / (1 + value.abs() + size.abs())
            worst = max(worst, float(excess[excess.isfinite()].max()))
    return worst


def worst_plane(operation: Operation, span: float, seed: int) -> float:
    """The same for a function of two variables, on random boxes."""
    generator = torch.Generator().manual_seed(seed)
    centres = span * torch.randn((2, 200), generator=generator, dtype=torch.float64)
    halves = span * torch.rand((2, 200), generator=generator, dtype=torch.float64)
    boxes = [(c - h, c + h) for c, h in zip(centres, halves, strict=True)]
    planes, (least, most) = planes_of(operation, boxes), range_of(operation, boxes)
    worst = -float("inf")
    for _ in range(150):
        shares = (1.6 * torch.rand((2, 200), generator=generator, dtype=torch.float64) - 0.3).clamp(0, 1)
        x = [low + share * (high - low) for share, (low, high) in zip(shares, boxes, strict=True)]
        value = operation.concrete(*x)
        low, high = (
            sum((slope * part for slope, part in zip(slopes, x, strict=True)), intercept)
            for slopes, intercept in ((planes.lower, planes.below), (planes.upper, planes.above))
        )
        size = 1 + value.abs() + low.abs() + high.abs()
        for excess in (low - value, value - high, least - value, value - most):
            worst = max(worst, float((excess / size).max()))
    return worst


def worst_maximum(operation: MaxPool, seed: int) -> float:
    """By how much a maximum leaves what its favourite says, on random boxes (2, 2, 7, 8)."""
    generator = torch.Generator().manual_seed(seed)
    centre, half = torch.rand((2, 2, 2, 7, 8), generator=generator, dtype=torch.float64)
    known, worst = ball_checker._favourites(operation, (centre - half / 3, centre + half / 3)), -float("inf")
    for _ in range(100):
        share = (3 * torch.rand(centre.shape, generator=generator, dtype=torch.float64) - 1.5).clamp(-1, 1)
        x = centre + share * half / 3
        value, favourite = operation.concrete(x), x.flatten()[known.index]
        above = torch.where(known.flat, known.ceiling, favourite + known.above)
        worst = max(worst, float((favourite - value).max()), float((value - above).max()))
    return worst


def unchecked() -> None:
    """Nobody asks to stop."""
