"""Where files of models lie in storage: by team and own id, never by a name that a person gave."""

from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verification.models.artifact import Artifact
    from verification.models.classifier import Classifier
    from verification.models.verification import Verification
    from verification.models.video import Video

#: Kept because decoders look at them; every other suffix is dropped.
VIDEO_SUFFIXES = {".mp4", ".avi", ".mov", ".webm", ".gif", ".mkv"}


def video_path(video: "Video", filename: str) -> str:
    """teams/<team>/videos/<id>.mp4"""
    suffix = PurePath(filename).suffix.lower()
    return f"teams/{video.team_id}/videos/{video.pk}{suffix if suffix in VIDEO_SUFFIXES else ''}"


def classifier_path(classifier: "Classifier", filename: str) -> str:
    """teams/<team>/classifiers/<id>.safetensors, or .onnx; uploads of no other format are accepted."""
    suffix = "onnx" if classifier.architecture == "onnx" else "safetensors"
    return f"teams/{classifier.team_id}/classifiers/{classifier.pk}.{suffix}"


def checkpoint_path(verification: "Verification", filename: str) -> str:
    """teams/<team>/verifications/<id>/checkpoint; storage adds letters while the old one is still there."""
    return f"teams/{verification.team_id}/verifications/{verification.pk}/checkpoint"


def artifact_path(artifact: "Artifact", filename: str) -> str:
    """teams/<team>/verifications/<id>/<kind>-<flow>-r<revision>.png"""
    verification = artifact.verification
    flow = "" if artifact.flow is None else f"-{artifact.flow:03d}"
    name = f"{artifact.kind}{flow}-r{artifact.revision}{PurePath(artifact.name).suffix}"
    return f"teams/{verification.team_id}/verifications/{verification.pk}/{name}"
