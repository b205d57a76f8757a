"""Pictures and data files of a verification, replaced as better examples come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Max

from verification.models import Artifact, Verification
from verification.services.recording import locked, record_fields, require_held
from verification.services.storing import SavedFiles, delete_on_commit, saving_files


@dataclass(frozen=True)
class ArtifactFile:
    """One file to keep. `flow`: from 1, where it belongs to a frame pair. `name`: for downloads."""

    kind: Artifact.Kind
    flow: int | None
    name: str
    content_type: str
    content: bytes


def record_artifacts(verification: Verification, files: Iterable[ArtifactFile]) -> int:
    """Keep `files`; each replaces the one of its kind and flow. Returns their revision. Raises LeaseLost.

    They are drawn and written one at a time, and shown all at once when the last one is there.
    """
    return _replace(verification, files, {})


def record_adversarial(
    verification: Verification,
    *,
    label: int,
    confidence: float,
    realisation_rms: float | None,
    realisation_median: float | None,
    example: Mapping[str, Any],
    files: Iterable[ArtifactFile],
) -> int:
    """A better adversarial example with its pictures; `example`: what `live.payloads.Example` says.

    The upper bound itself comes through `record_bound`.
    """
    facts: dict[str, Any] = {
        "upper_label": label,
        "upper_confidence": confidence,
        "realisation_rms": realisation_rms,
        "realisation_median": realisation_median,
        "example": dict(example),
    }
    return _replace(verification, files, facts)


def record_certificate(verification: Verification, radius: float, file: ArtifactFile) -> int:
    """The certificate of the lower bound, which proves `radius`, in the unit of the space."""
    return _replace(verification, [file], {"certificate_radius": radius, "uncertified": ""})


def _replace(verification: Verification, files: Iterable[ArtifactFile], facts: Mapping[str, Any]) -> int:
    require_held(verification)
    # Only the holder of the lease adds revisions, so this one stays free.
    newest = Artifact.objects.filter(verification=verification).aggregate(number=Max("revision"))["number"]
    revision = (newest or 0) + 1
    with saving_files() as saved:
        drawn = [_write(verification, file, revision, saved) for file in files]
        with transaction.atomic():
            locked(verification)
            for artifact in drawn:
                _swap(artifact)
            if facts:
                record_fields(verification, **facts)
    return revision


def _write(verification: Verification, file: ArtifactFile, revision: int, saved: SavedFiles) -> Artifact:
    artifact = Artifact(
        verification=verification,
        kind=file.kind,
        flow=file.flow,
        name=file.name,
        content_type=file.content_type,
        bytes=len(file.content),
        revision=revision,
    )
    saved.save(artifact.file, file.name, ContentFile(file.content))
    return artifact


def _swap(artifact: Artifact) -> None:
    """Put `artifact` in the place of the one of its kind and flow."""
    place = Artifact.objects.filter(verification=artifact.verification, kind=artifact.kind, flow=artifact.flow)
    for old in place:
        delete_on_commit(old.file)
    place.delete()
    artifact.save(force_insert=True)
