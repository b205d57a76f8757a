"""How pixels share an L2 ball: never less than what any division of the radius attains, and exact where slopes are constant."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from verification.engine.bounds.budget import shared_fall


def attained(slopes: torch.Tensor, budgets: list[float], z: torch.Tensor) -> torch.Tensor:
    """`sum_x fall_x(z_x)` for the steepest falls that the slopes allow; (rows,)."""
    zone = torch.bucketize(z, torch.tensor(budgets, dtype=z.dtype)).clamp(max=len(budgets) - 1)
    return (slopes.gather(0, zone.unsqueeze(0))[0] * z).sum(1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), pixels=st.integers(1, 40), radius=st.floats(1e-6, 1e3), steep=st.floats(0.0, 20.0))
def test_no_division_of_the_radius_falls_further(seed: int, pixels: int, radius: float, steep: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    budgets = [0.1 * radius, 0.4 * radius, radius]
    slopes = torch.rand((3, 200, pixels), generator=generator, dtype=torch.float64)
    slopes[1:] *= 1 + steep * torch.rand((2, 200, pixels), generator=generator, dtype=torch.float64)
    bound = shared_fall(slopes, budgets)
    shapes = torch.rand((200, pixels), generator=generator, dtype=torch.float64)
    for power in (0.0, 1.0, 4.0, 40.0):  # from equal parts to nearly all for one pixel
        z = shapes**power
        z *= radius / torch.linalg.vector_norm(z, dim=1, keepdim=True)
        assert (attained(slopes, budgets, z) <= bound * (1 + 1e-12)).all()
    following = slopes[0] * (radius / torch.linalg.vector_norm(slopes[0], dim=1, keepdim=True))
    assert (attained(slopes, budgets, following) <= bound * (1 + 1e-12)).all()


def test_equal_slopes_everywhere_give_the_norm() -> None:
    slopes = torch.rand((1, 5, 30), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    bound = shared_fall(slopes.expand(3, -1, -1), [0.1, 0.5, 2.0])
    assert torch.allclose(bound, 2.0 * torch.linalg.vector_norm(slopes[0], dim=1), rtol=1e-9)


def test_flat_pixels_do_not_fall() -> None:
    assert (shared_fall(torch.zeros((2, 3, 4), dtype=torch.float64), [0.5, 1.0]) < 1e-100).all()
    assert bool(torch.isfinite(shared_fall(torch.zeros((2, 3, 4)), [0.5, 1.0])).all())
