"""The one way in which the engine speaks while it works. The caller implements what it needs."""

from collections.abc import Iterator

from verification.engine.certificate import Certificate
from verification.engine.mirror import MirrorPair
from verification.engine.result import AdversarialExample, BoundPoint, GamePicture, GridPicture, Turn


class Observer:
    """Receives progress; every method may be overridden, none needs to be. Calls come from the thread of `verify`."""

    def started(self, label: int, confidence: float) -> None:
        """The clip is classified: its label and the softmax confidence of that label."""

    def mirrored(self, pair: MirrorPair) -> None:
        """The clip is mirrored: how the one that was given is classified. Told just before `started`."""

    def bounds(self, point: BoundPoint) -> None:
        """A bound moved. Points come numbered and monotone."""

    def adversarial(self, example: AdversarialExample) -> None:
        """A better adversarial example than every one before."""

    def game(self, picture: GamePicture | GridPicture) -> None:
        """The players have moved; told now and then."""

    def event(self, text: str) -> None:
        """Something that a person who watches would like to read, in one line."""

    def turns(self, turns: Iterator[Turn]) -> None:
        """All turns of the players, told once in the end; they can be replayed."""

    def certifying(self) -> None:
        """The bounds are final. Their certificate is being written, which takes time beyond the budget."""

    def certificate(self, certificate: Certificate) -> None:
        """The lower bound as a file that another program can check; its radius may be a little less."""

    def uncertified(self, reason: str) -> None:
        """There is no certificate, although one was wanted; the bounds hold all the same."""

    def checkpoint(self, state: bytes) -> None:
        """All that a later `verify` needs to go on from here (see `anytime`); opaque to the caller."""

    def should_stop(self) -> bool:
        """Asked often, also inside long computations; True ends the run with the bounds it has."""
        return False
