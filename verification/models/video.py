"""Videos as uploaded."""

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

from verification.models.files import preview_path, strip_path, video_path
from verification.models.scoping import TeamOwned
from verification.models.team import Team

if TYPE_CHECKING:
    from verification.engine.clip import VideoInfo


class Video(TeamOwned):
    """A video that the engine has decoded once: `frames`, `fps`, `height`, `width` are what it found.

    `fps` 0: no rate is known. Videos from before there were pictures of them have neither `strip` nor `preview`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="videos")
    name = models.CharField(max_length=200)
    class_name = models.CharField(max_length=200, blank=True)  #: as its folder or name says; for people only
    file = models.FileField(upload_to=video_path, max_length=255)
    strip = models.FileField(upload_to=strip_path, max_length=255, blank=True)  #: some frames side by side, JPEG
    preview = models.FileField(upload_to=preview_path, max_length=255, blank=True)  #: a small WebM copy, if any
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

    @property
    def info(self) -> "VideoInfo":
        """The same in the engine's words."""
        from verification.engine.clip import VideoInfo  # it takes seconds to load, and few programs need it

        return VideoInfo(self.frames, self.fps, self.height, self.width, self.sha256)

    @property
    def seconds(self) -> float | None:
        """How long it is, where its rate is known."""
        return self.frames / self.fps if self.fps > 0 else None
