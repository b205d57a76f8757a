"""How often a classifier is right, and what it takes for what."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Accuracy:
    """`confusion[i][j]`: of the clips of class `labels[i]`, how many were named `labels[j]`."""

    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, labels: Sequence[str], truth: Tensor, named: Tensor) -> "Accuracy":
        """`truth`, `named`: (n,) indices of `labels`, what each clip is and what it was named."""
        classes = len(labels)
        counts = torch.bincount(truth * classes + named, minlength=classes * classes).view(classes, classes)
        return cls(tuple(labels), tuple(map(tuple, counts.tolist())))

    @property
    def clips(self) -> int:
        return sum(map(sum, self.confusion))

    @property
    def correct(self) -> int:
        return sum(row[i] for i, row in enumerate(self.confusion))

    @property
    def share(self) -> float:
        """Of all clips; 0 where there are none."""
        return self.correct / self.clips if self.clips else 0.0

    @property
    def by_label(self) -> dict[str, float]:
        """The share for each label that has clips."""
        rows = zip(self.labels, self.confusion, strict=True)
        return {label: row[i] / sum(row) for i, (label, row) in enumerate(rows) if sum(row)}

    def lines(self) -> list[str]:
        """The confusion matrix as text: a line for each class, its clips under what they were named."""
        width = max(5, *(len(str(number)) for row in self.confusion for number in row))
        longest = max(map(len, self.labels)) + 5
        head = f"{'is, named':<{longest}}" + "".join(f"{i + 1:>{width}}" for i in range(len(self.labels)))
        rows = zip(self.labels, self.confusion, strict=True)
        body = (
            f"{f'{i + 1:>3} {label}':<{longest}}" + "".join(f"{number:>{width}}" for number in row)
            for i, (label, row) in enumerate(rows)
        )
        return [head, *body]
