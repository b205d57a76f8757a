"""Personal tokens for programs."""

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from verification.models import ApiToken
from verification.services.errors import Invalid, NotAllowed
from verification.services.teams import checked_name

PREFIX = "fv_"  #: so that people and secret scanners recognise one
MAX_DAYS = 3650

#: `last_used_at` is for people; writing it at every request would make each read a write.
USE_RESOLUTION = timedelta(minutes=1)


def create_token(user: User, name: str, days: int | None = None) -> tuple[ApiToken, str]:
    """A token and its text, which is shown this once: only its digest is kept."""
    name = checked_name(name, 100, "name")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise Invalid(f"A token lasts 1 to {MAX_DAYS} days, not {days}.", "days")
    plain = PREFIX + secrets.token_urlsafe(32)
    expires_at = timezone.now() + timedelta(days=days) if days is not None else None
    token = ApiToken.objects.create(user=user, name=name, digest=_digest(plain), expires_at=expires_at)
    return token, plain


def authenticate(plain: str) -> User | None:
    """The user for whom the token stands; None when it is unknown, revoked or expired."""
    token = ApiToken.objects.select_related("user").filter(digest=_digest(plain)).first()
    if token is None or not token.is_open or not token.user.is_active:
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > USE_RESOLUTION:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token.user


def revoke_token(user: User, token: ApiToken) -> None:
    """Close a token of one's own for good."""
    if token.user_id != user.pk:
        raise NotAllowed("This token belongs to somebody else.")
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])


def _digest(plain: str) -> str:
    # 256 random bits: nothing to guess, so no salt and no slow hash are needed.
    return hashlib.sha256(plain.encode()).hexdigest()
