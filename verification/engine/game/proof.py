"""What proves the lower bound."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from torch import Tensor

from verification.engine.result import GamePicture, GridPicture, Turn


class Proof(Protocol):
    """An anytime proof. `lower` is always proven and never falls; `finished`: nothing is left to try."""

    lower: float
    finished: bool

    def step(self, upper: float | None, check: Callable[[], None]) -> float | None:
        """Work a little. Returns what is proven if that is more than before; otherwise None.

        `upper`: the distance of the best adversarial example, above which nothing can be proven. `check` is called often
        and may raise `Stopped`; nothing is lost then.
        """

    def picture(self) -> GamePicture | GridPicture | None:
        """What there is to see of the players, if there are any."""

    def turns(self) -> Iterator[Turn]:
        """All turns of the players so far, in their order."""

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What `restore` needs: JSON-able, and tensors."""

    def restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
