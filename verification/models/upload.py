"""Files on their way in."""

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from verification.models.scoping import TeamOwned
from verification.models.team import Team


class Upload(TeamOwned):
    """A file that arrives in pieces: `offset` bytes of `length` are there. Who began it alone may go on."""

    class Kind(models.TextChoices):
        """What it becomes."""

        VIDEO = "video", "Video"
        CLASSIFIER = "classifier", "Classifier"

    #: Metadata of a classifier that is to be looked at before it is kept.
    HOLD = "hold"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    filename = models.CharField(max_length=200)
    length = models.PositiveBigIntegerField()
    offset = models.PositiveBigIntegerField(default=0)
    metadata = models.JSONField(default=dict, blank=True)
    result_id = models.UUIDField(null=True, blank=True)  #: of the video or classifier that it became
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(length__gt=0), name="upload_not_empty"),
            models.CheckConstraint(condition=Q(offset__lte=F("length")), name="upload_not_too_long"),
            models.CheckConstraint(condition=Q(kind__in=["video", "classifier"]), name="upload_kind_known"),
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def held(self) -> bool:
        """Whether it waits for a person when it is complete."""
        return self.kind == self.Kind.CLASSIFIER and bool(self.metadata.get(self.HOLD))

    @property
    def path(self) -> Path:
        """Where the bytes gather, outside of storage: nobody can read a file before it has been inspected."""
        return Path(settings.FLOWVERIFY_UPLOADS) / f"{self.pk}.part"
