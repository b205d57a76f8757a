"""Where files of models lie in storage: by team and own id, never by a name that a person gave."""

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verification.models.artifact import Artifact
    from verification.models.classifier import Classifier
    from verification.models.verification import Verification
    from verification.models.video import Video


_SUFFIX = re.compile(r"\.[a-z0-9]{2,5}")


def video_path(video: "Video", filename: str) -> str:
    """teams/<team>/videos/<id>.mp4; a suffix is kept for people, what the file is its content says."""
    suffix = PurePath(filename).suffix.lower()
    return f"teams/{video.team_id}/videos/{video.pk}{suffix if _SUFFIX.fullmatch(suffix) else ''}"


def strip_path(video: "Video", filename: str) -> str:
    """teams/<team>/videos/<id>-strip.jpg"""
    return f"teams/{video.team_id}/videos/{video.pk}-strip.jpg"


def preview_path(video: "Video", filename: str) -> str:
    """teams/<team>/videos/<id>-preview.webm"""
    return f"teams/{video.team_id}/videos/{video.pk}-preview.webm"


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
