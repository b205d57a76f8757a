"""Links that open something to whoever holds them: unguessable, limited in time, revocable."""

import secrets
import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from verification.models.scoping import TeamOwned
from verification.models.team import Team
from verification.models.verification import Verification


def random_token() -> str:
    """256 random bits, fit for an address."""
    return secrets.token_urlsafe(32)


class Link(TeamOwned):
    """What all links share. `expires_at` null: until revoked."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token = models.CharField(max_length=64, unique=True, default=random_token, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["-created_at"]

    @property
    def is_open(self) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())


class Invitation(Link):
    """Whoever opens it with an account joins the team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    accepted_count = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"Invitation to {self.team}"


class ShareLink(Link):
    """Opens the report of one verification, and nothing else, without an account."""

    TEAM = "verification__team"

    verification = models.ForeignKey(Verification, on_delete=models.CASCADE, related_name="shares")

    def __str__(self) -> str:
        return f"Share of {self.verification}"
