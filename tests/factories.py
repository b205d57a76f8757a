"""Made data for tests: people, real little video and classifier files, and rows in every state.

Files are synthesised, never copied from anywhere. Rows made here skip the services, so that a test can begin
in any state; tests of a service call the service.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.utils import timezone
from numpy.typing import NDArray

from verification.engine.clip import probe_video
from verification.engine.network import ARCHITECTURES, InputSpecification, load_classifier, save_classifier
from verification.models import Artifact, Bound, Classifier, Membership, Team, Verification, Video

PASSWORD = "quite-long-and-only-for-tests"
LABELS = ("left", "right", "still")

_numbers = itertools.count(1)


def make_user(username: str | None = None, *, team: Team | None = None, role: str = "member") -> User:
    """Somebody with `PASSWORD`; a member of `team` if one is given."""
    user = User.objects.create_user(username or f"person{next(_numbers)}", password=PASSWORD)
    if team is not None:
        Membership.objects.create(team=team, user=user, role=role)
    return user


def make_team(*members: User, name: str | None = None) -> Team:
    """A team; the first of `members` owns it."""
    number = next(_numbers)
    team = Team.objects.create(name=name or f"Team {number}", slug=f"team-{number}")
    for position, member in enumerate(members):
        role = Membership.Role.MEMBER if position else Membership.Role.OWNER
        Membership.objects.create(team=team, user=member, role=role)
    return team


def moving_pictures(frames: int, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """(frames, height, width, 3) BGR: a smooth texture that moves one pixel a frame to the right."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width + frames, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    texture = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
    return np.stack([texture[:, frames - shift : frames - shift + width] for shift in range(frames)])


def make_video_file(
    path: Path, *, frames: int = 12, size: tuple[int, int] = (48, 64), fps: float = 10.0, seed: int = 0
) -> Path:
    """A video at `path`: Motion JPEG in .avi, MPEG-4 in .mp4. `size`: (height, width)."""
    height, width = size
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, fps, (width, height))
    assert writer.isOpened(), f"OpenCV cannot write {path.suffix}"
    for picture in moving_pictures(frames, height, width, seed):
        writer.write(picture)
    writer.release()
    return path


def make_classifier_file(
    path: Path,
    *,
    labels: Sequence[str] = LABELS,
    frames: int = 4,
    size: tuple[int, int] = (16, 16),
    seed: int = 0,
) -> Path:
    """A classifier with random weights, small enough to be verified in seconds."""
    height, width = size
    config = {"channels": 2, "kernel": 3, "kernel_frames": 2, "features": 4, "hidden": 4}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ARCHITECTURES["camera_motion"].build(
            config, frames=frames, height=height, width=width, classes=len(labels)
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_classifier(
        path,
        network,
        architecture="camera_motion",
        config=config,
        labels=labels,
        input=InputSpecification(frames, height, width),
    )
    return path


def make_video(team: Team, user: User | None = None, *, name: str = "clip.avi", **options: Any) -> Video:
    """A stored video; `options` as for `make_video_file`. Every call makes another picture."""
    options.setdefault("seed", next(_numbers))
    path = make_video_file(_scratch(".avi"), **options)
    found = probe_video(path)
    video = Video(
        team=team,
        name=name,
        sha256=found.sha256,
        bytes=path.stat().st_size,
        frames=found.frames,
        fps=found.fps,
        height=found.height,
        width=found.width,
        created_by=user,
    )
    video.file.save(path.name, ContentFile(path.read_bytes()), save=True)
    return video


def make_classifier(
    team: Team, user: User | None = None, *, name: str = "weights.safetensors", **options: Any
) -> Classifier:
    """A stored classifier; `options` as for `make_classifier_file`. Every call makes other weights."""
    options.setdefault("seed", next(_numbers))
    path = make_classifier_file(_scratch(".safetensors"), **options)
    loaded = load_classifier(path)
    classifier = Classifier(
        team=team,
        name=name,
        sha256=loaded.sha256,
        bytes=path.stat().st_size,
        architecture=loaded.architecture,
        labels=list(loaded.labels),
        frames=loaded.input.frames,
        height=loaded.input.height,
        width=loaded.input.width,
        channels=loaded.input.channels,
        sampling=loaded.input.sampling,
        created_by=user,
    )
    classifier.file.save(path.name, ContentFile(path.read_bytes()), save=True)
    return classifier


def make_verification(team: Team, user: User | None = None, **fields: Any) -> Verification:
    """A verification of a new video and classifier, queued unless `fields` say otherwise."""
    video = fields.pop("video", None) or make_video(team, user)
    classifier = fields.pop("classifier", None) or make_classifier(team, user)
    question: dict[str, Any] = {
        "frames": classifier.frames,
        "sampling": classifier.sampling,
        "norm": Verification.Norm.L2,
        "space": "dense",
        "seconds": 60.0,
        "extractor": "farneback",
    }
    return Verification.objects.create(
        team=team, video=video, classifier=classifier, created_by=user, **question | fields
    )


def make_finished(team: Team, user: User | None = None, **fields: Any) -> Verification:
    """A verification whose budget is spent, with three bounds, an adversarial example and one picture."""
    now = timezone.now()
    answer: dict[str, Any] = {
        "status": Verification.Status.EXHAUSTED,
        "attempts": 1,
        "started_at": now,
        "finished_at": now,
        "label": 0,
        "confidence": 0.9,
        "lower": 0.25,
        "upper": 2.0,
        "upper_label": 1,
        "upper_confidence": 0.6,
        "realisation_rms": 0.4,
        "realisation_median": 0.2,
        "elapsed": 60.0,
    }
    verification = make_verification(team, user, **answer | fields)
    add_bounds(verification, [(1.0, 0.0, 4.0), (2.0, 0.25, 4.0), (3.0, 0.25, 2.0)])
    make_artifact(verification, Artifact.Kind.FRAME, 1)
    return verification


def add_bounds(verification: Verification, points: Sequence[tuple[float, float, float | None]]) -> None:
    """Bounds (seconds, lower, upper) after those that are there."""
    first = verification.bounds.count() + 1
    Bound.objects.bulk_create(
        Bound(
            verification=verification,
            number=number,
            seconds=seconds,
            lower=lower,
            upper=upper,
            source="lower",
        )
        for number, (seconds, lower, upper) in enumerate(points, first)
    )


def make_artifact(
    verification: Verification, kind: Artifact.Kind, flow: int | None = None, content: bytes = b""
) -> Artifact:
    """A stored artifact: `content`, or a little picture."""
    picture = content or cv2.imencode(".png", moving_pictures(1, 16, 16)[0])[1].tobytes()
    artifact = Artifact(
        verification=verification,
        kind=kind,
        flow=flow,
        name=f"{kind}.png",
        content_type="image/png",
        bytes=len(picture),
    )
    artifact.file.save(artifact.name, ContentFile(picture), save=True)
    return artifact


def _scratch(suffix: str) -> Path:
    """A path for a file on its way into storage, beside the media of this test."""
    return Path(settings.MEDIA_ROOT).parent / "made" / f"{next(_numbers)}{suffix}"
