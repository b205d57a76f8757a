"""Teams, members and invitations."""

import secrets
from datetime import timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.text import slugify

from verification.models import Invitation, Membership, Team
from verification.services.errors import Invalid, NotAllowed

MAX_INVITATION_DAYS = 90


def require_member(user: AbstractBaseUser | AnonymousUser, team: Team) -> Membership:
    """The membership of `user` in `team`. Raises NotAllowed when there is none."""
    membership = Membership.objects.filter(team=team, user_id=user.pk).first() if user.is_authenticated else None
    if membership is None:
        raise NotAllowed("You are not a member of this team.")
    return membership


def require_owner(user: AbstractBaseUser | AnonymousUser, team: Team) -> Membership:
    """The membership of an owner. Raises NotAllowed."""
    membership = require_member(user, team)
    if membership.role != Membership.Role.OWNER:
        raise NotAllowed("Only an owner of the team may do this.")
    return membership


def create_team(user: User, name: str) -> Team:
    """A new team with `user` as its owner. Names need not be unique. Raises Invalid."""
    name = checked_name(name, 100, "name")
    with transaction.atomic():
        slug = slugify(name) or "team"
        if Team.objects.filter(slug=slug).exists():
            slug = f"{slug}-{secrets.token_hex(4)}"
        team = Team.objects.create(name=name, slug=slug)
        Membership.objects.create(team=team, user=user, role=Membership.Role.OWNER)
    return team


def invite(user: User, team: Team, days: int = 7) -> Invitation:
    """A link that lets everyone who has it join `team` for `days` days. Owners only."""
    require_owner(user, team)
    if not 1 <= days <= MAX_INVITATION_DAYS:
        raise Invalid(f"An invitation lasts 1 to {MAX_INVITATION_DAYS} days, not {days}.", "days")
    expires_at = timezone.now() + timedelta(days=days)
    return Invitation.objects.create(team=team, created_by=user, expires_at=expires_at)


def open_invitation(token: str) -> Invitation:
    """The invitation behind a link. Raises Invalid if it is unknown, expired or revoked, not saying which."""
    invitation = Invitation.objects.select_related("team").filter(token=token).first()
    if invitation is None or not invitation.is_open:
        raise Invalid("This invitation is not valid, or not any more. Ask an owner of the team for a new link.")
    return invitation


def accept_invitation(user: User, token: str) -> Membership:
    """Join the team of the invitation; a member who opens it again stays what they are."""
    with transaction.atomic():
        invitation = open_invitation(token)
        membership, joined = Membership.objects.get_or_create(team=invitation.team, user=user)
        if joined:
            Invitation.objects.filter(pk=invitation.pk).update(accepted_count=F("accepted_count") + 1)
    return membership


def revoke_invitation(user: User, invitation: Invitation) -> None:
    """Close the link; who has joined stays. Owners only."""
    require_owner(user, invitation.team)
    if invitation.revoked_at is None:
        invitation.revoked_at = timezone.now()
        invitation.save(update_fields=["revoked_at"])


def checked_name(name: str, limit: int, field: str) -> str:
    """`name` without surrounding space. Raises Invalid when nothing is left or it is too long."""
    name = name.strip()
    if not name:
        raise Invalid("Give it a name.", field)
    if len(name) > limit:
        raise Invalid(f"The name is longer than {limit} characters.", field)
    return name
