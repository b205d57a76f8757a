"""A verification: the question, the lease of the worker on it, and the answer so far."""

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from verification.models.classifier import Classifier
from verification.models.files import checkpoint_path
from verification.models.scoping import TeamOwned
from verification.models.team import Team
from verification.models.video import Video

if TYPE_CHECKING:
    from verification.engine.clip import Part


class Verification(TeamOwned):
    """The maximum safe radius of a clip of `video` for `classifier`, bounded from both sides."""

    class Status(models.TextChoices):
        """Where a verification stands; the last six are final."""

        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        CONVERGED = "converged", "Converged"
        CERTIFIED = "certified", "Certified"
        REFUTED = "refuted", "Unsafe"
        EXHAUSTED = "exhausted", "Budget spent"
        CANCELLED = "cancelled", "Cancelled"
        FAILED = "failed", "Failed"

    class Norm(models.TextChoices):
        """The engine's norms, by their spelling there."""

        L1 = "l1", "L1"
        L2 = "l2", "L2"
        LINF = "linf", "L∞"

    class LowerMethod(models.TextChoices):
        """How the lower bound is proven; the engine's words."""

        CELLS = "cells", "Cells where dimensions are few, and a ball"
        GRID = "grid", "The paper's grid"
        ROOT = "root", "One ball alone"

    class UpperMethod(models.TextChoices):
        """How adversarial examples are looked for; the engine's words."""

        GRADIENT = "gradient", "The exact gradient"
        FINITE_DIFFERENCE = "finite-difference", "The paper's finite differences"

    class Guarantee(models.TextChoices):
        """What a number is worth; the engine's words."""

        SOUND = "sound", "Sound"
        CONDITIONAL = "conditional", "Conditional"
        EMPIRICAL = "empirical", "Empirical"

    OPEN = (Status.QUEUED, Status.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="verifications")
    name = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    # The question.
    video = models.ForeignKey(Video, on_delete=models.PROTECT, related_name="verifications")
    classifier = models.ForeignKey(Classifier, on_delete=models.PROTECT, related_name="verifications")
    frames = models.PositiveIntegerField()
    sampling = models.CharField(max_length=20)
    first = models.PositiveIntegerField(default=1)  #: of the video's frames that are sampled, from 1
    last = models.PositiveIntegerField(null=True, blank=True)  #: included; null: the video's last
    mirrored = models.BooleanField(default=False)  #: all is asked of the clip mirrored left to right
    norm = models.CharField(max_length=4, choices=Norm.choices)
    space = models.CharField(max_length=255)  #: or a natural distortion, as the engine spells it
    flows = models.JSONField(null=True, blank=True)  #: flow numbers from 1; null: all
    radius = models.FloatField(null=True, blank=True)  #: in the unit of the space; null: no limit
    lower_method = models.CharField(max_length=10, choices=LowerMethod.choices, default=LowerMethod.CELLS)
    tau = models.FloatField(null=True, blank=True)  #: of the grid; null: derived
    upper_method = models.CharField(max_length=20, choices=UpperMethod.choices, default=UpperMethod.GRADIENT)
    query = models.BooleanField(default=False)  #: only whether `radius` is safe is asked
    eight_bit = models.BooleanField(default=False)  #: only examples that survive rounding to 8 bits count
    certificate = models.BooleanField(default=False)  #: wanted of the lower bound, when it is final
    seconds = models.FloatField()  #: budget
    seed = models.PositiveBigIntegerField(default=0)
    extractor = models.CharField(max_length=255)  #: of the flow, in the one spelling of `engine.flow`
    device = models.CharField(max_length=20, default="auto")

    # The worker's hold on it.
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    lease_owner = models.CharField(max_length=100, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    checkpoint = models.FileField(upload_to=checkpoint_path, max_length=255, blank=True)

    # The answer so far.
    label = models.PositiveIntegerField(null=True, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    given_label = models.PositiveIntegerField(
        null=True, blank=True
    )  #: of the clip that was mirrored; null where none was
    given_confidence = models.FloatField(null=True, blank=True)
    lower = models.FloatField(default=0.0)
    #: Distorted clips nearer than that to the original, in L2, keep the class; null where that does not follow.
    lower_grey_levels = models.FloatField(null=True, blank=True)
    lower_guarantee = models.CharField(max_length=11, choices=Guarantee.choices, default=Guarantee.SOUND)
    upper = models.FloatField(null=True, blank=True)
    upper_label = models.PositiveIntegerField(null=True, blank=True)
    upper_confidence = models.FloatField(null=True, blank=True)
    realisation_rms = models.FloatField(null=True, blank=True)
    realisation_median = models.FloatField(null=True, blank=True)
    example = models.JSONField(null=True, blank=True)  #: `live.payloads.Example`; null until one is found
    game = models.JSONField(null=True, blank=True)  #: `live.payloads.Game`; null where no cells are played
    certifying = models.BooleanField(default=False)  #: the bounds are final, the certificate is being written
    certificate_radius = models.FloatField(null=True, blank=True)  #: what it proves; null while there is none
    uncertified = models.TextField(blank=True)  #: why none can be made
    elapsed = models.FloatField(default=0.0)  #: seconds of work, over all attempts
    error = models.TextField(blank=True)
    versions = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["team", "-created_at"], name="verification_newest")]
        constraints = [
            models.CheckConstraint(condition=Q(frames__gte=2), name="verification_has_a_flow"),
            models.CheckConstraint(
                condition=Q(first__gte=1) & (Q(last__isnull=True) | Q(last__gt=F("first"))),
                name="verification_part_in_order",
            ),
            models.CheckConstraint(condition=Q(seconds__gt=0), name="verification_seconds_positive"),
            models.CheckConstraint(
                condition=Q(radius__isnull=True) | Q(radius__gt=0), name="verification_radius_positive"
            ),
            models.CheckConstraint(condition=Q(lower__gte=0), name="verification_lower_not_negative"),
            models.CheckConstraint(
                condition=Q(upper__isnull=True) | Q(upper__gte=F("lower")), name="verification_lower_le_upper"
            ),
            models.CheckConstraint(
                condition=Q(certificate_radius__isnull=True) | Q(certificate_radius__gt=0),
                name="verification_certificate_positive",
            ),
            models.CheckConstraint(condition=Q(elapsed__gte=0), name="verification_elapsed_not_negative"),
            models.CheckConstraint(condition=Q(norm__in=["l1", "l2", "linf"]), name="verification_norm_known"),
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "queued",
                        "running",
                        "converged",
                        "certified",
                        "refuted",
                        "exhausted",
                        "cancelled",
                        "failed",
                    ]
                ),
                name="verification_status_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.video} / {self.classifier}"

    @property
    def is_open(self) -> bool:
        """Still queued or running: the bounds may move."""
        return self.status in self.OPEN

    @property
    def no_certificate(self) -> str:
        """Why there is no certificate although one was asked for; empty as long as it may come."""
        if not self.certificate or self.certificate_radius is not None:
            return ""
        if self.uncertified or self.is_open:
            return self.uncertified
        return "The run ended before a certificate was written."

    @property
    def part(self) -> "Part":
        """Which of the video's frames are sampled."""
        from verification.engine.clip import Part  # it takes seconds to load, and few programs need it

        return Part(self.first, self.last)

    @property
    def label_name(self) -> str | None:
        """The class of the clip, by name."""
        return self.classifier.label_name(self.label)

    @property
    def given_label_name(self) -> str | None:
        """Where the clip is mirrored, the class of the clip as it was given, by name."""
        return self.classifier.label_name(self.given_label)

    @property
    def pair_agrees(self) -> bool | None:
        """Whether a clip and its mirror image have the same class; None where that was not asked, or is not known yet."""
        if self.given_label is None or self.label is None:
            return None
        return self.given_label == self.label

    @property
    def upper_label_name(self) -> str | None:
        """The class of the adversarial example, by name."""
        return self.classifier.label_name(self.upper_label)
