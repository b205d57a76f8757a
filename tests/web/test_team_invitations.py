"""Teams and their invitation links: who may invite, who gets in, and until when."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import make_team, make_user, make_video
from verification.models import Invitation, Membership, Team, Video
from verification.services import teams
from verification.services.errors import Invalid, NotAllowed

pytestmark = pytest.mark.django_db


def test_who_creates_a_team_owns_it() -> None:
    user = make_user()
    team = teams.create_team(user, "  Motion group ")
    assert (team.name, team.slug) == ("Motion group", "motion-group")
    assert teams.require_owner(user, team).role == Membership.Role.OWNER


def test_two_teams_may_have_one_name() -> None:
    first, second = (teams.create_team(make_user(), "Vision") for _ in range(2))
    assert first.slug != second.slug


@pytest.mark.parametrize("name", ["", "   ", "n" * 101])
def test_a_team_needs_a_sensible_name(name: str) -> None:
    with pytest.raises(Invalid):
        teams.create_team(make_user(), name)
    assert not Team.objects.exists()


def test_a_name_without_latin_letters_gets_an_address_too() -> None:
    assert teams.create_team(make_user(), "光流").slug == "team"


def test_an_invitation_lets_in_and_shows_the_team_s_things() -> None:
    owner, guest = make_user(), make_user()
    team = make_team(owner)
    video = make_video(team)
    assert not Video.objects.for_user(guest).exists()
    invitation = teams.invite(owner, team)
    membership = teams.accept_invitation(guest, invitation.token)
    assert (membership.team, membership.role) == (team, Membership.Role.MEMBER)
    assert list(Video.objects.for_user(guest)) == [video]
    invitation.refresh_from_db()
    assert invitation.accepted_count == 1


def test_it_opens_its_own_team_only() -> None:
    owner, guest = make_user(), make_user()
    team, other = make_team(owner), make_team(owner)
    teams.accept_invitation(guest, teams.invite(owner, team).token)
    assert list(Team.objects.for_user(guest)) == [team]
    assert other not in Team.objects.for_user(guest)


def test_an_owner_who_opens_the_link_stays_owner() -> None:
    owner = make_user()
    team = make_team(owner)
    invitation = teams.invite(owner, team)
    assert teams.accept_invitation(owner, invitation.token).role == Membership.Role.OWNER
    invitation.refresh_from_db()
    assert invitation.accepted_count == 0


def test_an_expired_invitation_lets_nobody_in() -> None:
    owner = make_user()
    invitation = teams.invite(owner, make_team(owner))
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    guest = make_user()
    with pytest.raises(Invalid, match="not valid"):
        teams.accept_invitation(guest, invitation.token)
    assert not Membership.objects.filter(user=guest).exists()


def test_a_revoked_invitation_lets_nobody_in_and_puts_nobody_out() -> None:
    owner, early, late = make_user(), make_user(), make_user()
    team = make_team(owner)
    invitation = teams.invite(owner, team)
    teams.accept_invitation(early, invitation.token)
    teams.revoke_invitation(owner, invitation)
    with pytest.raises(Invalid, match="not valid"):
        teams.accept_invitation(late, invitation.token)
    assert early in team.members.all()
    assert late not in team.members.all()


def test_an_unknown_token_lets_nobody_in() -> None:
    with pytest.raises(Invalid, match="not valid"):
        teams.accept_invitation(make_user(), "guess")


def test_members_who_do_not_own_neither_invite_nor_revoke() -> None:
    owner, member = make_user(), make_user()
    team = make_team(owner, member)
    invitation = teams.invite(owner, team)
    with pytest.raises(NotAllowed, match="owner"):
        teams.invite(member, team)
    with pytest.raises(NotAllowed, match="owner"):
        teams.revoke_invitation(member, invitation)
    with pytest.raises(NotAllowed, match="not a member"):
        teams.invite(make_user(), team)
    assert teams.open_invitation(invitation.token) == invitation


@pytest.mark.parametrize("days", [0, -3, 91])
def test_days_that_make_no_sense(days: int) -> None:
    owner = make_user()
    with pytest.raises(Invalid):
        teams.invite(owner, make_team(owner), days)
    assert not Invitation.objects.exists()
