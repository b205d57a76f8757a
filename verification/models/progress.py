"""What a verification said while it ran: numbered bounds and events, only ever added."""

from django.db import models
from django.db.models import F, Q

from verification.models.scoping import TeamOwned
from verification.models.verification import Verification


class Bound(TeamOwned):
    """Both bounds after one moved. Numbers count from 1 without gaps: a client can ask for the rest."""

    TEAM = "verification__team"

    verification = models.ForeignKey(Verification, on_delete=models.CASCADE, related_name="bounds")
    number = models.PositiveIntegerField()
    seconds = models.FloatField()
    lower = models.FloatField()
    upper = models.FloatField(null=True)
    source = models.CharField(max_length=20)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["verification", "number"], name="bound_number_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="bound_counts_from_one"),
            models.CheckConstraint(condition=Q(seconds__gte=0), name="bound_seconds_not_negative"),
            models.CheckConstraint(condition=Q(lower__gte=0), name="bound_lower_not_negative"),
            models.CheckConstraint(
                condition=Q(upper__isnull=True) | Q(upper__gte=F("lower")), name="bound_lower_le_upper"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.lower} to {self.upper}"


class Event(TeamOwned):
    """One line for whoever watches."""

    TEAM = "verification__team"

    verification = models.ForeignKey(Verification, on_delete=models.CASCADE, related_name="events")
    number = models.PositiveIntegerField()
    seconds = models.FloatField()
    text = models.CharField(max_length=500)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["verification", "number"], name="event_number_once"),
            models.CheckConstraint(condition=Q(seconds__gte=0), name="event_seconds_not_negative"),
        ]

    def __str__(self) -> str:
        return self.text
