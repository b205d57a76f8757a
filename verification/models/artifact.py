"""Files that a verification produced."""

import uuid

from django.db import models
from django.db.models import Q

from verification.models.files import artifact_path
from verification.models.scoping import TeamOwned
from verification.models.verification import Verification


class Artifact(TeamOwned):
    """One picture or data file. Better examples replace it; `revision` counts how often."""

    class Kind(models.TextChoices):
        """What it shows; those of a frame pair carry its flow number."""

        FRAME = "frame", "Original frame"
        FLOW_MAGNITUDE = "flow-magnitude", "Original flow, magnitude"
        FLOW_DIRECTION = "flow-direction", "Original flow, direction"
        PERTURBED_MAGNITUDE = "perturbed-magnitude", "Perturbed flow, magnitude"
        PERTURBED_DIRECTION = "perturbed-direction", "Perturbed flow, direction"
        DIFFERENCE_MAGNITUDE = "difference-magnitude", "Difference, magnitude"
        DIFFERENCE_DIRECTION = "difference-direction", "Difference, direction"
        FLOW_ARROWS = "flow-arrows", "Original flow, arrows"
        PERTURBED_ARROWS = "perturbed-arrows", "Perturbed flow, arrows"
        DIFFERENCE_ARROWS = "difference-arrows", "Difference, arrows"
        PERTURBED_FRAME = "perturbed-frame", "Perturbed frame"
        FRAME_DIFFERENCE = "frame-difference", "Difference of the frame"
        ADVERSARIAL_FLOWS = "adversarial-flows", "Adversarial flows"
        ADVERSARIAL_CLIP = "adversarial-clip", "Adversarial clip"
        LOSSLESS_CLIP = "lossless-clip", "Adversarial clip in 8 bits"
        COMPARISON = "comparison", "Original and perturbed side by side"
        COMPARISON_STILL = "comparison-still", "One frame, original and perturbed side by side"
        ORIGINAL_FLO = "original-flo", "Original flows, Middlebury"
        PERTURBED_FLO = "perturbed-flo", "Perturbed flows, Middlebury"
        RESULT = "result", "Result"
        CERTIFICATE = "certificate", "Certificate of the lower bound"

    TEAM = "verification__team"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    verification = models.ForeignKey(Verification, on_delete=models.CASCADE, related_name="artifacts")
    kind = models.CharField(max_length=30, choices=Kind.choices)
    flow = models.PositiveIntegerField(null=True, blank=True)
    name = models.CharField(max_length=100)
    file = models.FileField(upload_to=artifact_path, max_length=255)
    content_type = models.CharField(max_length=100)
    bytes = models.PositiveBigIntegerField()
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["kind", "flow"]
        constraints = [
            models.UniqueConstraint(fields=["verification", "kind", "flow"], name="artifact_once_a_flow"),
            models.UniqueConstraint(
                fields=["verification", "kind"], condition=Q(flow__isnull=True), name="artifact_once"
            ),
            models.CheckConstraint(condition=Q(flow__isnull=True) | Q(flow__gte=1), name="artifact_flow_from_one"),
        ]

    def __str__(self) -> str:
        return self.name
