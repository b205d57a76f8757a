"""Classifiers as uploaded."""

import uuid

from django.conf import settings
from django.db import models

from verification.models.files import classifier_path
from verification.models.scoping import TeamOwned
from verification.models.team import Team


class Classifier(TeamOwned):
    """An ONNX model, or weights for a named architecture, that the engine has loaded once, with the input that it expects."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="classifiers")
    name = models.CharField(max_length=200)
    file = models.FileField(upload_to=classifier_path, max_length=255)
    sha256 = models.CharField(max_length=64)
    bytes = models.PositiveBigIntegerField()
    architecture = models.CharField(max_length=100)
    labels = models.JSONField()  #: list of names, by class number
    frames = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    width = models.PositiveIntegerField()
    channels = models.CharField(max_length=3)
    sampling = models.CharField(max_length=20)
    order = models.CharField(max_length=5, default="ntchw")  #: of the network's axes
    range = models.CharField(max_length=8, default="0..1")  #: of its values, before mean and deviation
    mean = models.JSONField(null=True)  #: three numbers, one a channel; None: as the file says
    deviation = models.JSONField(null=True)
    dropped = models.JSONField(
        default=list
    )  #: what stands behind the logits and is left out of the proof, such as a softmax
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "name"]
        constraints = [
            models.UniqueConstraint(fields=["team", "sha256"], name="classifier_once_a_team"),
            models.CheckConstraint(condition=models.Q(frames__gte=2), name="classifier_sees_a_flow"),
            models.CheckConstraint(condition=models.Q(channels__in=["rgb", "bgr"]), name="classifier_channels_known"),
        ]

    def __str__(self) -> str:
        return self.name

    def label_name(self, label: int | None) -> str | None:
        """The name of class `label`."""
        return self.labels[label] if label is not None and 0 <= label < len(self.labels) else None
