"""Which device computes: what was asked for, if this machine has it."""

import torch

from verification.engine import SpecificationError


def usable_device(name: str) -> str:
    """The torch device for `auto`, `cpu`, `cuda` or `cuda:N`. Raises SpecificationError where it is missing."""
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if there else "cpu"
    kind, _, number = name.partition(":")
    if kind == "cuda" and int(number or 0) >= there:
        found = f"only {there} of them" if there else "none that is usable"
        raise SpecificationError(f"there is no CUDA device {number or 0} on this machine, {found}; choose cpu or auto")
    return name
