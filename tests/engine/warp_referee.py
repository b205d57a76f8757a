"""Small clips that turn, grow and move, and the referee that says whether what is told of an interval of the parameter holds.

The referee trusts no rule: it distorts the clip at many parameters and reports by how much any pixel leaves what was told of it,
at most 0 where all holds.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from verification.engine.certificate.forms import AffineForm, image_of
from verification.engine.network.operations.base import Site
from verification.engine.perturbation.distortions import build_distortion
from verification.engine.perturbation.distortions.warped import Warped
from verification.engine.perturbation.spaces.base import Setting
from verification.engine.relaxation import Enclosure, Interval, Rounding

KINDS = ("rotation", "scale", "speed")
#: How wide a cell is in which some pixels of small clips cross lines, and most do not.
NARROW = {"rotation": 10.0, "scale": 0.2, "speed": 0.2}
ROUNDING = Rounding(rigorous=True)
LENGTH = 2


def noise(height: int, width: int, seed: int) -> Tensor:
    """Frames of which no pixel knows its neighbours."""
    return torch.rand((LENGTH, 3, height, width), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def smooth(height: int, width: int, seed: int) -> Tensor:
    """Frames that change slowly."""
    return interpolate(noise(4, 4, seed), size=(height, width), mode="bicubic", align_corners=True).clamp(0, 1)


def ramp(height: int, width: int) -> Tensor:
    """Frames that are linear across, and so are bent by the course alone."""
    return torch.linspace(0, 1, width, dtype=torch.float64).expand(LENGTH, 3, height, width).contiguous()


def warped(kind: str, frames: Tensor, seed: int = 0, motion: float = 2.0) -> Warped:
    """The operation of a distortion; `speed` has random flows of about `motion` pixels."""
    length, _, height, width = frames.shape
    generator = torch.Generator().manual_seed(seed)
    flow = motion * torch.randn((length - 1, 2, height, width), dtype=torch.float64, generator=generator)
    distortion = build_distortion(Setting(length, height, width, None, lambda: flow), kind)
    (node,) = distortion.graph(frames).nodes
    assert isinstance(node.operation, Warped)
    return node.operation


def some_cells(kind: str, seed: int) -> list[tuple[float, float]]:
    """Intervals of every width, from rounding to half of the domain: anywhere, from zero on, around zero, at turning points."""
    generator = torch.Generator().manual_seed(seed)
    most = {"rotation": 180.0, "scale": 3.0, "speed": 4.0}[kind]
    cells = []
    for width in (1e-13, 1e-9, 1e-6, 1e-3, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0):
        size = width * NARROW[kind]
        place, share = torch.rand(2, dtype=torch.float64, generator=generator).tolist()
        starts = ((2 * place - 1) * most, 0.0, -size, -share * size, 45.0 - share * size, 90.0)
        cells += [(start, start + size) for start in starts if -most <= start and start + size <= most]
    return cells


def enclosed(operation: Warped, lower: float, upper: float) -> Enclosure:
    """What the search knows of a cell: the clip as a function of one parameter in [-1, 1]."""
    box = Interval(*torch.tensor([lower, upper], dtype=torch.float64).view(2, 1, 1))
    site = Site((box.lower.shape,), (box,), ROUNDING)
    return operation.enclose([Enclosure(box.centre, box.radius.unsqueeze(0), 1e-15 * box.magnitude)], site)


def checked(operation: Warped, lower: Tensor, upper: Tensor) -> AffineForm:
    """What the checker knows of B leaves, `lower`, `upper` (B,)."""
    centre, half = ((part / 2).view(-1, 1, 1) for part in (lower + upper, upper - lower))
    size = torch.maximum(lower.abs(), upper.abs()).view(-1, 1, 1)
    return image_of(operation, [AffineForm(centre, half.unsqueeze(1), 1e-15 * size, False)])


def points(lower: float, upper: float, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Parameters (N, 1), both ends among them, and where they are in [-1, 1]."""
    z = 2 * torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 1
    z = torch.cat([z, torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)])
    p = (lower / 2 + upper / 2) + z * ((upper - lower) / 2)
    return p.clamp(lower, upper).unsqueeze(1), z


def worst_in_cell(operation: Warped, lower: float, upper: float, count: int = 100, seed: int = 1) -> float:
    """By how much a pixel leaves its enclosure or its interval."""
    p, z = points(lower, upper, count, seed)
    return _excess(operation, p, z, enclosed(operation, lower, upper))


def worst_in_leaf(operation: Warped, lower: float, upper: float, count: int = 100, seed: int = 1) -> float:
    """By how much a pixel leaves its form."""
    p, z = points(lower, upper, count, seed)
    form = checked(operation, *torch.tensor([[lower], [upper]], dtype=torch.float64))
    return _excess(operation, p, z, Enclosure(form.centre[0], form.slopes[0], form.error[0]))


def _excess(operation: Warped, p: Tensor, z: Tensor, told: Enclosure) -> float:
    line = told.centre + z.view(-1, 1, 1, 1, 1) * told.slopes[0]
    return float(((operation.concrete(p) - line).abs() - told.error).max())
