"""A classifier that hardly prefers its class to the next one: an adversarial example is found within seconds."""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.factories import (
    make_classifier,
    make_classifier_file,
    make_team,
    make_user,
    make_verification,
    make_video,
)
from verification.engine import ARCHITECTURES, load_classifier, read_clip
from verification.models import Verification

#: What is left of the distance between the two best logits.
LEFT = 0.002


def make_undecided_file(path: Path, video: Path, *, seed: int = 0) -> Path:
    """A classifier file with random weights, whose last bias is moved so that the clip of `video` is a near tie."""
    loaded = load_classifier(make_classifier_file(path, seed=seed))
    clip = read_clip(video, frames=loaded.input.frames, size=(loaded.input.height, loaded.input.width))
    with torch.no_grad():
        logits = loaded.module(clip.frames.unsqueeze(0))[0]
    best, second = logits.topk(2).indices.tolist()
    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors[ARCHITECTURES[loaded.architecture].outputs][second] += (1 - LEFT) * (logits[best] - logits[second])
    save_file(tensors, path, metadata)
    return path


def make_undecided_verification(**fields: Any) -> Verification:
    """A queued verification of made files, of which both bounds move within seconds."""
    user = make_user()
    team = make_team(user)
    video, classifier = make_video(team, user, seed=1), make_classifier(team, user)
    make_undecided_file(Path(classifier.file.path), Path(video.file.path), seed=1)
    return make_verification(team, user, **{"seconds": 2.0, "video": video, "classifier": classifier, **fields})
