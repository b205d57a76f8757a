"""Videos as uploaded."""

import uuid

from django.conf import settings
from django.db import models

from verification.models.files import video_path
from verification.models.scoping import TeamOwned
from verification.models.team import Team


class Video(TeamOwned):
    """A video file that the engine has decoded once: `frames`, `fps`, `height`, `width` are what it found."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="videos")
    name = models.CharField(max_length=200)
    file = models.FileField(upload_to=video_path, max_length=255)
    sha256 = models.CharField(max_length=64)
    bytes = models.PositiveBigIntegerField()
    frames = models.PositiveIntegerField()
    fps = models.FloatField()
    height = models.PositiveIntegerField()
    width = models.PositiveIntegerField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "name"]
        constraints = [
            models.UniqueConstraint(fields=["team", "sha256"], name="video_once_a_team"),
            models.CheckConstraint(condition=models.Q(frames__gte=2), name="video_has_a_flow"),
            models.CheckConstraint(condition=models.Q(height__gt=0, width__gt=0), name="video_has_a_size"),
        ]

    def __str__(self) -> str:
        return self.name
