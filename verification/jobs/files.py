"""The engine's files as artifacts, and the result as the JSON that the command line writes too."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from verification.engine import BoundPoint, Result, Specification, VideoInfo
from verification.engine.artifacts import File
from verification.engine.certificate import Certificate
from verification.engine.document import result_document
from verification.models import Artifact, Verification
from verification.services.artifacts import ArtifactFile

#: Under this name people keep it, and the command line reads it.
CERTIFICATE_NAME = "certificate.json"


def as_artifacts(files: Iterable[File]) -> Iterator[ArtifactFile]:
    """The same files, one at a time, for the services."""
    for file in files:
        yield ArtifactFile(Artifact.Kind(file.kind.value), file.flow, file.name, file.content_type, file.content)


def certificate_file(certificate: Certificate) -> ArtifactFile:
    """`certificate.json`, byte for byte as the engine saves it."""
    with tempfile.TemporaryDirectory(prefix="flowverify-") as scratch:
        path = Path(scratch) / CERTIFICATE_NAME
        certificate.save(path)
        content = path.read_bytes()
    return ArtifactFile(Artifact.Kind.CERTIFICATE, None, CERTIFICATE_NAME, "application/json", content)


def result_file(verification: Verification, specification: Specification, result: Result) -> ArtifactFile:
    """`result.json` of a run that has ended. Bounds are those on record, which earlier attempts may have proven."""
    video = verification.video
    info = VideoInfo(frames=video.frames, fps=video.fps, height=video.height, width=video.width, sha256=video.sha256)
    rows = verification.bounds.order_by("number")
    history = [BoundPoint(row.number, row.seconds, row.lower, row.upper, row.source) for row in rows]
    document = result_document(specification, result, info, verification.versions)
    document |= {
        "lower": verification.lower,
        "upper": verification.upper,
        "history": [asdict(point) for point in history],
    }
    content = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return ArtifactFile(Artifact.Kind.RESULT, None, "result.json", "application/json", content.encode())
