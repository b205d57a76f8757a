"""A run goes on from its checkpoint: nothing goes back, nothing is said twice, and only to its own question."""

import pickle

import pytest
import torch

from tests.engine.questions import Recording, make_specification
from verification.engine import Budget, CheckpointError, Norm, Result, Specification, UpperMethod, verify
from verification.engine.result import GamePicture


@pytest.fixture(scope="module")
def first() -> tuple[Result, bytes]:
    observer = Recording()
    result = verify(make_specification(1, budget=Budget(600, rounds=8)), observer)
    return result, observer.checkpoints[-1]


def test_going_on_never_goes_back(first: tuple[Result, bytes]) -> None:
    before, checkpoint = first
    observer = Recording()

    after = verify(make_specification(1, budget=Budget(600, rounds=16)), observer, checkpoint)

    assert after.lower >= before.lower
    assert before.upper is not None and after.upper is not None and after.upper <= before.upper
    assert after.history[: len(before.history)] == before.history
    assert tuple(observer.points) == after.history[len(before.history) :]
    assert [point.number for point in after.history] == list(range(1, len(after.history) + 1))
    assert after.seconds >= before.seconds


@pytest.mark.parametrize("space", ["translation", "blocks:1x2"])
def test_a_game_that_goes_on_from_a_checkpoint_ends_as_if_it_had_not_been_interrupted(space: str) -> None:
    def asked(rounds: int) -> Specification:
        return make_specification(1, space=space, flows=(1,), budget=Budget(600, rounds=rounds))

    whole = verify(asked(40))
    observer = Recording()
    verify(asked(19), observer)
    resumed = verify(asked(40), None, observer.checkpoints[-1])

    assert isinstance(whole.game, GamePicture) and isinstance(resumed.game, GamePicture)
    assert whole.game.cells > 5
    assert (resumed.lower, resumed.upper) == (whole.lower, whole.upper)
    assert (resumed.game.cells, resumed.game.target) == (whole.game.cells, whole.game.target)
    assert [(point.lower, point.upper) for point in resumed.history] == [(p.lower, p.upper) for p in whole.history]


def test_a_spent_budget_stays_spent_and_the_example_is_still_there(first: tuple[Result, bytes]) -> None:
    before, checkpoint = first

    after = verify(make_specification(1, budget=Budget(600, rounds=8)), None, checkpoint)

    assert (after.lower, after.upper, after.history) == (before.lower, before.upper, before.history)
    assert before.adversarial is not None and after.adversarial is not None
    assert after.adversarial.label == before.adversarial.label
    torch.testing.assert_close(after.adversarial.delta, before.adversarial.delta)


@pytest.mark.parametrize(
    "fields",
    [
        {"norm": Norm.LINF},
        {"flows": (1,)},
        {"radius": 5.0},
        {"seed": 3},
        {"space": "translation"},
        {"upper_method": UpperMethod.FINITE_DIFFERENCE},
        {"query": True, "radius": 5.0},
    ],
)
def test_another_question_is_refused(first: tuple[Result, bytes], fields: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match="another question"):
        verify(make_specification(1, **fields), None, first[1])


def test_another_clip_is_refused(first: tuple[Result, bytes]) -> None:
    with pytest.raises(CheckpointError, match="another question"):
        verify(make_specification(2), None, first[1])


class Exploding:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("a checkpoint was unpickled",))


def test_damaged_bytes_are_refused(first: tuple[Result, bytes]) -> None:
    _, checkpoint = first
    tensors_only = len(checkpoint).to_bytes(8, "little") + checkpoint[8:]
    for data in (b"", b"short", checkpoint[:-20], checkpoint[40:], tensors_only, pickle.dumps(Exploding())):
        with pytest.raises(CheckpointError, match="damaged"):
            verify(make_specification(1), None, data)
