"""How large the steps of training are: a short warm-up, then half a cosine."""

import math

#: Steps until the full rate is reached, and the share of it that is left at the end.
_WARM_UP, _LEFT = 100, 0.005


def learning_rate(full: float, step: int, steps: int, warm_up: int = _WARM_UP) -> float:
    """The rate of step number `step`, counted from 0, of `steps` steps; `full`: the largest rate."""
    return full * min(1.0, (step + 1) / warm_up) * (0.5 * (1 + math.cos(math.pi * step / steps)) + _LEFT)
