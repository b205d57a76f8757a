"""A `.pt2` file, which `torch.export.save` writes: read only where somebody vouches for it, because reading one may run code."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from verification.engine.errors import ClassifierError, first_line


class ProgramNetwork(nn.Module):
    """The program as a module. It was fixed when it was exported: there is no mode to change."""

    def __init__(self, program: Any) -> None:
        super().__init__()
        self.program = program.module()

    def forward(self, clip: Tensor) -> Tensor:
        result: Tensor = self.program(clip)
        return result

    def train(self, mode: bool = True) -> "ProgramNetwork":
        self.training = mode
        return self


def load_program(path: Path) -> tuple[ProgramNetwork, tuple[int | None, ...]]:
    """The network of a `.pt2` file, and the axes of its one input, None where it leaves them open.

    For trusted files only. Raises ClassifierError for what is no such file, takes more than the clip, or holds weights
    that are no finite float32 numbers.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.load(path)
        except Exception as error:  # of many classes, by what is wrong with the file
            raise ClassifierError(
                f"{path.name} cannot be read as an exported program ({first_line(error)[:200]}); write it with "
                f"torch.export.save of torch {torch.__version__.partition('+')[0]}"
            ) from error
    names = program.graph_signature.user_inputs
    inputs = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(inputs) != 1:
        raise ClassifierError(f"{path.name} takes {len(inputs)} inputs; export a network that takes the clip alone")
    for name, tensor in program.state_dict.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ClassifierError(
                f"the weight {name} holds values that are NaN or infinite; train the classifier again"
            )
    sizes = inputs[0].meta["val"].shape
    return ProgramNetwork(program), tuple(size if isinstance(size, int) else None for size in sizes)
