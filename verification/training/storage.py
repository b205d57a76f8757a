"""Arrays in files that are there whole or not at all."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verification.engine.errors import TrainingError


def store(path: Path, array: NDArray[Any]) -> None:
    """Write an array as an npy file, in a folder that is made if need be. Raises TrainingError where that is impossible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            draft = Path(scratch) / path.name
            np.save(draft, array)
            draft.replace(path)
    except OSError as error:
        raise TrainingError(
            f"the cache {path.parent} cannot be written: {error.strerror}; name another folder with --cache"
        ) from error
