"""Lower <= exact <= upper on tiny ReLU networks, where an exact solver says where the nearest adversarial example lies.

Pixels: the box of an L-infinity ball, cut to [0, 1]. Flow: the translation of a clip. Between whole pixels the bilinear warp
of a picture `f(x) + g(y)` is affine in (dx, dy), so a cell of the lattice is a piece that the solver takes exactly; of a
picture `f(x)` only dx matters.
"""

import copy
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.engine.bounding import CPU
from verification.engine.bounds import warp
from verification.engine.bounds.pixels import PixelBall
from verification.engine.bounds.problem import Problem
from verification.engine.game.root import RootSearch
from verification.engine.network.export import export_graph
from verification.engine.network.operations.relu import Relu
from verification.engine.perturbation import Norm, build_space
from verification.engine.relaxation import Interval, Planes, Rounding
from verification.engine.search import MinimumNormSearch

pytest.importorskip("maraboupy", reason="no wheel of maraboupy for this Python: nothing to compare with")

from tests.engine.exact import FINE, Array, Piece, Stages, nearest

LENGTH, HEIGHT, WIDTH = 2, 4, 6
REACH = 2  # whole pixels that the exact comparison looks at in each direction


def make_pixels_network(seed: int, convolution: bool) -> Stages:
    torch.manual_seed(seed)
    if convolution:
        first: nn.Module = nn.Sequential(nn.Flatten(1, 2), nn.Conv2d(6, 2, 2))
        return Stages(first, nn.Sequential(nn.Flatten(), nn.Linear(8, 5)), nn.Linear(5, 3)).eval()
    return Stages(nn.Sequential(nn.Flatten(), nn.Linear(24, 8)), nn.Linear(8, 6), nn.Linear(6, 3)).eval()


def make_flow_network(seed: int) -> Stages:
    torch.manual_seed(seed)
    size = LENGTH * 3 * HEIGHT * WIDTH
    return Stages(nn.Sequential(nn.Flatten(), nn.Linear(size, 8)), nn.Linear(8, 6), nn.Linear(6, 3)).eval()


def make_problem(network: Stages, frames: Tensor, space: str, margin: Callable[[nn.Module, int], Tensor]) -> Problem:
    """The question whether the class of the clip stays, in L-infinity.

    The head's biases are set so that the margins are what `margin` says of the network in float64 and the class: (C,).
    """
    network.requires_grad_(False)
    for parameter in network.parameters():
        parameter.mul_(1.5)
    head = network.stages[-1]
    assert isinstance(head, nn.Linear)
    head.weight.mul_(20)  # so that margins are large beside what the solver errs
    exact, clip = copy.deepcopy(network).double(), frames.double().unsqueeze(0)
    logits = exact(clip)[0]
    label = int(logits.argmax())
    others = torch.arange(len(logits)) != label
    head.bias.add_(((logits[label] - logits - margin(exact, label)) * others).float())
    graph = export_graph(network, (1, *frames.shape)).cast(torch.float64, CPU)
    assert int(graph(clip).argmax()) == label
    return Problem(
        graph, frames, build_space(space, frames.shape[0], frames.shape[2], frames.shape[3]), Norm.LINF, label
    )


# --- Pixels ---


@functools.cache
def pixel_problem(seed: int, convolution: bool) -> tuple[Stages, Problem]:
    """A tenth of the whole range, evenly, would take the class away if the network were linear."""
    network = make_pixels_network(seed, convolution)
    frames = torch.rand((2, 3, 3, 3) if convolution else (2, 3, 2, 2), generator=torch.Generator().manual_seed(seed))
    # Some values so near to black or white that they are clipped.
    frames = ((frames - 0.5) * 1.3 + 0.5).clamp(0, 1)

    def margin(exact: nn.Module, label: int) -> Tensor:
        clip = frames.double().unsqueeze(0).requires_grad_()
        logits = exact(clip)[0]
        slopes = [torch.autograd.grad(logits[label] - other, clip, retain_graph=True)[0] for other in logits]
        return torch.stack([slope.abs().sum() * 0.1 for slope in slopes])

    return network, make_problem(network, frames, "pixels", margin)


def pixel_pieces(frames: Tensor) -> list[Piece]:
    values = frames.double().flatten().numpy()
    unit = np.eye(len(values))
    return [Piece(values, unit, -values, 1 - values, np.concatenate([unit, -unit]))]


# --- Flow ---


def make_frames(seed: int, two: bool) -> Tensor:
    """(2, 3, h, w): `f(x)`, or `f(x) + g(y)`, in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    across = torch.rand((2, 3, 1, WIDTH), generator=generator) / 2
    down = torch.rand((2, 3, HEIGHT, 1), generator=generator) / 2 if two else torch.zeros(())
    return (across + down).expand(2, 3, HEIGHT, WIDTH).contiguous()


def moved(frames: Tensor, dx: int, dy: int) -> Array:
    """The clip, flattened, with its second frame moved by whole pixels: no interpolation is needed, edges repeat."""
    rows = (torch.arange(HEIGHT) - dy).clamp(0, HEIGHT - 1)
    columns = (torch.arange(WIDTH) - dx).clamp(0, WIDTH - 1)
    second = frames[1][:, rows][:, :, columns]
    found: Array = torch.stack([frames[0], second]).double().flatten().numpy()
    return found


def flow_pieces(frames: Tensor, norm: Norm, two: bool) -> Iterator[Piece]:
    """The lattice cells, nearest first; p = (dx, dy), or (dx)."""
    cells = [(i, j if two else 0) for i in range(-REACH, REACH) for j in (range(-REACH, REACH) if two else (0,))]
    for i, j in sorted(cells, key=lambda cell: sum(max(k, -k - 1) for k in cell)):
        corner = moved(frames, i, j)
        steps = [moved(frames, i + 1, j) - corner, *([moved(frames, i, j + 1) - corner] if two else [])]
        low = np.array([i, j][: len(steps)], dtype=float)
        slopes = np.stack(steps, 1)
        yield Piece(corner - slopes @ low, slopes, low, low + 1, flow_costs(low, norm))


def flow_costs(low: Array, norm: Norm) -> Array:
    """Rows whose greatest product with p is the norm of the flow on the cell that begins at `low`, where signs are fixed."""
    towards = np.where(low >= 0, 1.0, -1.0)
    pixels = HEIGHT * WIDTH
    if norm is Norm.LINF:
        return np.diag(towards)
    if norm is Norm.L1:
        return towards[None] * pixels
    assert len(low) == 1, "in L2 only one parameter has a distance that is affine"
    return np.diag(towards) * pixels**0.5


@functools.cache
def flow_problem(seed: int, two: bool) -> tuple[Stages, Problem]:
    """The margins are three fifths of the deepest fall: a class changes before the content has moved by REACH."""
    frames, network = make_frames(seed, two), make_flow_network(seed)

    def margin(exact: nn.Module, label: int) -> Tensor:
        steps = range(-REACH, REACH + 1)
        clips = [moved(frames, dx, dy) for dx, dy in itertools.product(steps, steps if two else (0,))]
        logits = torch.cat([exact(torch.from_numpy(clip).view(1, *frames.shape)) for clip in clips])
        here = exact(frames.double().unsqueeze(0))[0]
        falls = (here[label] - here) - (logits[:, [label]] - logits)
        return 0.6 * falls.max().expand(len(here))

    return network, make_problem(network, frames, "translation", margin)


# --- Comparisons ---


def exact_distance(network: Stages, problem: Problem, pieces: Iterable[Piece]) -> float:
    """How far the nearest adversarial example is, confirmed by the engine's own evaluation of it."""
    exact = nearest(network.layers(problem.frames.shape), problem.label, pieces)
    assert exact is not None
    a = torch.zeros(problem.space.shape, dtype=torch.float64)
    a.view(-1)[: len(exact.p)] = torch.from_numpy(exact.p)
    assert int(problem.logits(a).argmax()) != problem.label
    assert problem.norm_of(a) == pytest.approx(exact.distance, rel=1e-6)
    return exact.distance


def lower_bound(problem: Problem) -> float:
    root = RootSearch(problem, limit=None)
    while not root.finished:
        root.step(None, lambda: None)
    return root.lower


def upper_bound(problem: Problem) -> float:
    search = MinimumNormSearch(problem)
    search.step(lambda: None, 200)
    assert search.best is not None
    assert int(problem.logits(search.best).argmax()) != problem.label
    return search.norm


def assert_in_order(network: Stages, problem: Problem, pieces: Iterable[Piece]) -> None:
    exact = exact_distance(network, problem, pieces)
    lower, upper = lower_bound(problem), upper_bound(problem)
    # The solver's example is a real one, so nothing beyond it may be proven; that nothing is nearer holds up to FINE.
    assert lower <= exact <= upper * FINE * 1.001
    assert lower >= exact / 8, "a bound that is next to nothing would be below everything"
    assert upper <= exact * 1.5


@pytest.mark.parametrize(("convolution", "seed"), [(False, 0), (False, 1), (False, 2), (True, 0), (True, 2)])
def test_pixels_of_a_box(convolution: bool, seed: int) -> None:
    network, problem = pixel_problem(seed, convolution)

    assert_in_order(network, problem, pixel_pieces(problem.frames))


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("seed", range(2))
def test_translation_with_one_parameter(seed: int, norm: Norm) -> None:
    network, problem = flow_problem(seed, two=False)
    problem = replace(problem, norm=norm)

    assert_in_order(network, problem, flow_pieces(problem.frames, norm, two=False))


@pytest.mark.parametrize("norm", [Norm.L1, Norm.LINF])
@pytest.mark.parametrize("seed", range(2))
def test_translation_with_two_parameters(seed: int, norm: Norm) -> None:
    network, problem = flow_problem(seed, two=True)
    problem = replace(problem, norm=norm)

    assert_in_order(network, problem, flow_pieces(problem.frames, norm, two=True))


def break_relu(patch: pytest.MonkeyPatch) -> None:
    """The chord of a ReLU goes through the origin: too low everywhere."""
    right = Relu.planes

    def planes(self: Relu, rounding: Rounding, *boxes: Interval) -> Planes:
        good = right(self, rounding, *boxes)
        return replace(good, upper_intercept=torch.zeros_like(good.upper_intercept))

    patch.setattr(Relu, "planes", planes)


def break_box(patch: pytest.MonkeyPatch) -> None:
    """Only half the radius is bounded."""
    right = PixelBall.interval
    patch.setattr(PixelBall, "interval", lambda self: right(replace(self, radius=self.radius / 2)))


def break_slopes(patch: pytest.MonkeyPatch) -> None:
    """The slopes of one side are taken for both."""
    right = warp._side_extremes

    def extremes(frame: Tensor, reach: float, axis: int, across: float) -> list[Tensor]:
        ahead = right(frame, reach, axis, across)[:2]
        return [*ahead, *ahead]

    patch.setattr(warp, "_side_extremes", extremes)


@pytest.mark.parametrize("wrong", [break_relu, break_box])
def test_a_broken_bound_of_pixels_is_noticed(
    wrong: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, problem = pixel_problem(2, convolution=False)
    wrong(monkeypatch)

    assert lower_bound(problem) > exact_distance(network, problem, pixel_pieces(problem.frames))


@pytest.mark.parametrize("two", [False, True])
def test_a_broken_bound_of_the_warp_is_noticed(two: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    network, problem = flow_problem(0, two)
    break_slopes(monkeypatch)

    assert lower_bound(problem) > exact_distance(network, problem, flow_pieces(problem.frames, Norm.LINF, two))
