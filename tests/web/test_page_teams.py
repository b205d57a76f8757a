"""Teams on the pages: switching, inviting, joining."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import make_team, make_user, make_video
from verification.models import Invitation, Membership, Team
from verification.services.teams import invite

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(user: User) -> Team:
    return make_team(user, name="Alpha")


@pytest.fixture
def client(user: User) -> Client:
    return logged_in(user)


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_the_members_are_listed(client, team):
    make_user("grace", team=team)
    page = client.get("/teams/").content.decode()
    assert "Alpha" in page
    assert "grace" in page
    assert "Owner" in page


def test_whoever_has_no_team_is_led_to_make_one(client):
    assert client.get("/")["Location"] == "/teams/"
    assert "You are in no team yet" in client.get("/teams/").content.decode()
    client.post("/teams/", {"name": "Mine"})
    assert "Nothing is verified yet" in client.get("/").content.decode()


def test_a_new_team_is_shown_at_once(client, user, team):
    page = client.post("/teams/", {"name": "Beta"}, follow=True).content.decode()
    assert "<h1>Beta</h1>" in page
    assert Membership.objects.get(team__name="Beta").user == user


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
def test_a_team_needs_a_name(client, team, name):
    answer = client.post("/teams/", {"name": name})
    assert answer.status_code == 400
    assert answer.context["form"].errors["name"]
    assert Team.objects.count() == 1


def test_switching_shows_the_other_teams_things(client, user, team):
    other = make_team(user, name="Beta")
    make_video(other, name="beta.avi")
    assert "beta.avi" not in client.get("/videos/").content.decode()
    client.post("/teams/switch/", {"team": str(other.pk)})
    assert "beta.avi" in client.get("/videos/").content.decode()


def test_nobody_switches_to_a_team_of_others(client, team):
    other = make_team(make_user("mallory"), name="Beta")
    assert client.post("/teams/switch/", {"team": str(other.pk)}).status_code == 404
    assert client.post("/teams/switch/", {"team": "nonsense"}).status_code == 302
    assert "Beta" not in client.get("/teams/").content.decode()


def test_who_leaves_a_team_stops_seeing_it_at_once(client, user, team):
    other = make_team(user, name="Beta")
    make_video(other, name="beta.avi")
    client.post("/teams/switch/", {"team": str(other.pk)})
    Membership.objects.filter(team=other).delete()
    assert "beta.avi" not in client.get("/videos/").content.decode()
    assert "Beta" not in client.get("/teams/").content.decode()


def test_an_invitation_link_lets_somebody_join(client, team):
    page = client.post("/teams/invite/", {"days": "7"}, follow=True).content.decode()
    found = re.search(r'value="http://testserver(/invitations/[^"]+/)"', page)
    assert found
    grace = make_user("grace")
    guest = logged_in(grace)
    assert "Join “Alpha”" in guest.get(found[1]).content.decode()
    assert not Membership.objects.filter(user=grace).exists()
    assert guest.post(found[1])["Location"] == "/"
    assert Membership.objects.get(user=grace).team == team


def test_joining_leads_a_visitor_through_the_login(team, user):
    address = f"/invitations/{invite(user, team).token}/"
    make_user("grace")
    guest = Client()
    assert guest.get(address)["Location"] == f"/login/?next={address}"
    form = {"username": "grace", "password": "quite-long-and-only-for-tests", "next": address}
    assert guest.post("/login/", form)["Location"] == address


def test_a_revoked_or_expired_invitation_does_not_open(client, user, team):
    guest = logged_in(make_user("grace"))
    revoked, expired = invite(user, team), invite(user, team)
    client.post(f"/invitations/{revoked.pk}/revoke/")
    Invitation.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    for token in (revoked.token, expired.token, "guessed"):
        for answer in (guest.get(f"/invitations/{token}/"), guest.post(f"/invitations/{token}/")):
            assert answer.status_code == 404
            assert "not valid" in answer.content.decode()
    assert team.memberships.count() == 1
    assert "/invitations/" not in re.sub(r"/revoke/", "", client.get("/teams/").content.decode())


def test_only_owners_see_and_make_invitations(user, team):
    invitation = invite(user, team)
    member = logged_in(make_user("grace", team=team))
    assert invitation.token not in member.get("/teams/").content.decode()
    assert "Only an owner" in member.post("/teams/invite/", {"days": "7"}, follow=True).content.decode()
    refused = member.post(f"/invitations/{invitation.pk}/revoke/", follow=True)
    assert "Only an owner" in refused.content.decode()
    invitation.refresh_from_db()
    assert invitation.is_open
    assert Invitation.objects.count() == 1


def test_an_invitation_of_another_team_cannot_be_revoked(user, team):
    invitation = invite(user, team)
    stranger = make_user("mallory")
    make_team(stranger)
    assert logged_in(stranger).post(f"/invitations/{invitation.pk}/revoke/").status_code == 404


def test_an_unlimited_invitation_is_not_offered(client, team):
    answer = client.post("/teams/invite/", {"days": "100000"}, follow=True)
    assert "Choose for how long" in answer.content.decode()
    assert not Invitation.objects.exists()
