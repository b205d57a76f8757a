"""What ran a verification, so that its report says how to repeat it."""

import platform
from functools import cache
from importlib.metadata import version

from verification import __version__

_PACKAGES = ("torch", "numpy", "opencv-python-headless", "safetensors", "Django")


@cache
def versions() -> dict[str, str]:
    """Name to version: this program, Python, and the packages on which the numbers depend."""
    packages = {name: version(name) for name in _PACKAGES}
    return {"FlowVerify": __version__, "Python": platform.python_version()} | packages
