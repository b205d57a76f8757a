"""Is the perturbed clip's own flow the one that was asked for? (engine contract, section 2)

Extractors smooth, so a manipulated flow is generally not the exact flow of any video. These figures say how far off it is.
"""

import torch
from torch import Tensor


def realisation_error(flow: Tensor, delta: Tensor, realised: Tensor) -> tuple[float, float]:
    """The error `e = P(v') - (P(v) + delta)` relative to `delta`, as (rms, median).

    `flow` = P(v), `delta`, `realised` = P(v'): (l-1, 2, h, w), pixels. rms: ||e||_2 / ||delta||_2. median: median of |e(x)|
    over median of |delta(x)|, both over the pixels that were changed, because the extractor has outliers.
    """
    wanted = delta.detach().to("cpu", torch.float64)
    error = realised.to(torch.float64) - flow.to(torch.float64) - wanted
    size = torch.linalg.vector_norm(wanted, dim=1)
    changed = size > 0
    if not bool(changed.any()):
        return 0.0, 0.0
    rms = torch.linalg.vector_norm(error) / torch.linalg.vector_norm(wanted)
    median = torch.linalg.vector_norm(error, dim=1)[changed].median() / size[changed].median()
    return float(rms), float(median)
