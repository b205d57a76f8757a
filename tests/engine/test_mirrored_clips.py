"""The horizontal flip: the question of a mirrored clip is that of its frames, and both decisions of the pair are told."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.questions import Recording, make_specification
from verification.engine import CheckpointError, Clip, Specification, VideoInfo, verify
from verification.engine.checkpoint import fingerprint
from verification.engine.document import result_document
from verification.engine.mirror import MirrorPair

#: Of `make_specification`: one whose mirror image has another class, and one whose mirror image has the same.
APART, ALIKE = 1, 0


def mirrored(texture: int, **fields: Any) -> Specification:
    plain = make_specification(texture, **fields)
    return replace(plain, clip=plain.clip.oriented(mirrored=True))


def decision(specification: Specification, frames: torch.Tensor) -> tuple[int, float]:
    """By the module itself."""
    shares = specification.classifier.module.double()(frames.double().unsqueeze(0))[0].softmax(0)
    specification.classifier.module.float()
    return int(shares.argmax()), float(shares.max())


@given(st.integers(2, 4), st.integers(1, 6), st.integers(1, 7), st.integers(0, 99))
def test_a_clip_mirrored_twice_is_the_clip(length: int, height: int, width: int, seed: int) -> None:
    frames = torch.rand((length, 3, height, width), generator=torch.Generator().manual_seed(seed))
    clip = Clip(frames, "clip.avi", "0" * 64, tuple(range(1, length + 1)))
    image = clip.oriented(mirrored=True)
    assert image.mirrored and (image.name, image.sha256, image.numbers) == (clip.name, clip.sha256, clip.numbers)
    for column in range(width):
        assert torch.equal(image.frames[..., column], frames[..., width - 1 - column])
    assert image.oriented(mirrored=True) is image and clip.oriented(mirrored=False) is clip
    back = image.oriented(mirrored=False)
    assert not back.mirrored and torch.equal(back.frames, frames)


def test_mirrored_twice_it_is_the_original_question() -> None:
    plain, image = make_specification(APART), mirrored(APART)
    again = replace(image, clip=image.clip.oriented(mirrored=False))
    assert fingerprint(again) == fingerprint(plain) != fingerprint(image)
    recording = Recording()
    verify(image, recording)
    with pytest.raises(CheckpointError, match="another question"):
        verify(plain, Recording(), recording.checkpoints[-1])


@pytest.mark.parametrize("space", ["translation", "moving:0.5", "brightness"])
def test_all_is_asked_of_the_mirrored_frames(space: str) -> None:
    image, said = mirrored(APART, space=space), Recording()
    frames = image.clip.frames
    same, expected = replace(image, clip=Clip(frames, "flipped already.avi", "0" * 64)), Recording()

    found, other = verify(image, said), verify(same, expected)

    assert found.label == other.label
    moves = [[(point.lower, point.upper) for point in recording.points] for recording in (said, expected)]
    assert moves[0] == moves[1] and len(moves[0]) > 1
    flows = image.extract_flow(), same.extract_flow()
    assert (flows[0] is None) is (flows[1] is None) is (space == "brightness")
    assert flows[0] is None or flows[1] is None or torch.equal(flows[0], flows[1])
    if found.adversarial is not None:
        assert other.adversarial is not None
        assert torch.equal(found.adversarial.delta, other.adversarial.delta)


@pytest.mark.parametrize(("texture", "agrees"), [(APART, False), (ALIKE, True)])
def test_the_pair_is_told_before_the_class(texture: int, agrees: bool) -> None:
    image, said = mirrored(texture), Told()
    given_to = make_specification(texture).clip.frames

    result = verify(image, said)

    pair = result.mirror
    assert pair is not None and pair.agrees is agrees and (pair.label == result.label) is agrees
    assert (pair.label, pytest.approx(pair.confidence)) == decision(image, given_to)
    assert (result.label, pytest.approx(result.confidence)) == decision(image, image.clip.frames)
    assert said.order == ["mirrored", "started"] and said.pair == pair
    names = image.classifier.labels
    assert said.events[0] == (
        f"The clip is mirrored left to right. Given: {names[pair.label]}, {100 * pair.confidence:.1f} %; mirrored: "
        f"{names[result.label]}, {100 * result.confidence:.1f} %: the pair {'agrees' if agrees else 'does not agree'}."
    )


class Told(Recording):
    """What is told of classes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []
        self.pair: MirrorPair | None = None

    def mirrored(self, pair: MirrorPair) -> None:
        self.order.append("mirrored")
        self.pair = pair

    def started(self, label: int, confidence: float) -> None:
        self.order.append("started")


def test_a_resumed_run_knows_the_pair_too() -> None:
    image, first = mirrored(APART), Recording(patience=2)
    begun = verify(image, first)
    again = verify(image, Recording(), first.checkpoints[-1])
    assert again.mirror is not None and again.mirror == begun.mirror


def test_the_document_says_it_and_is_silent_where_it_was_not_asked() -> None:
    video, fields = (
        VideoInfo(4, 25.0, 16, 20, "0" * 64),
        ("given_label", "given_label_name", "given_confidence", "pair_agrees"),
    )
    plain, image = make_specification(APART), mirrored(APART)
    document = result_document(plain, verify(plain), video, {})
    assert document["clip"]["mirrored"] is False and [document[field] for field in fields] == [None] * 4
    result = verify(image)
    document = result_document(image, result, video, {})
    assert document["clip"]["mirrored"] is True and document["pair_agrees"] is False
    assert document["given_label_name"] == image.classifier.labels[document["given_label"]] != document["label_name"]
    assert result.mirror is not None and document["given_confidence"] == result.mirror.confidence
