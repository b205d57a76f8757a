"""Links that open one report without an account."""

from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from verification.models import ShareLink, Verification
from verification.services.errors import Invalid
from verification.services.teams import require_member

MAX_DAYS = 3650


def create_share(user: User, verification: Verification, days: int | None = None) -> ShareLink:
    """A link to the report of `verification`, for `days` days or until revoked. Any member may."""
    require_member(user, verification.team)
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise Invalid(f"A share link lasts 1 to {MAX_DAYS} days, not {days}.", "days")
    expires_at = timezone.now() + timedelta(days=days) if days is not None else None
    return ShareLink.objects.create(verification=verification, created_by=user, expires_at=expires_at)


def revoke(user: User, link: ShareLink) -> None:
    """Close the link. Any member of the team may."""
    require_member(user, link.verification.team)
    if link.revoked_at is None:
        link.revoked_at = timezone.now()
        link.save(update_fields=["revoked_at"])


def open(token: str) -> Verification:
    """What the link shows. Raises Invalid when it is unknown, expired or revoked; it does not say which."""
    link = (
        ShareLink.objects.select_related("verification__video", "verification__classifier", "verification__team")
        .filter(token=token)
        .first()
    )
    if link is None or not link.is_open:
        raise Invalid("This link is not valid, or not any more. Ask the person who gave it to you for a new one.")
    return link.verification
