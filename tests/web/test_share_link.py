"""Share links: one report for whoever has the link, nothing else, until it expires or is revoked."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import make_artifact, make_team, make_user
from tests.web.api_support import make_ended, signed_in
from verification.models import Artifact, ShareLink, Team, Verification
from verification.services.shares import create_share

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    # A name that no hash, token or picture in base64 can hold by chance, as "ada" can.
    return make_user("secret.owner")


@pytest.fixture
def team(user: User) -> Team:
    return make_team(user, name="Secret team")


@pytest.fixture
def verification(team: Team) -> Verification:
    return make_ended(team)


@pytest.fixture
def link(user: User, verification: Verification) -> ShareLink:
    return create_share(user, verification)


def test_a_link_opens_the_report_without_an_account(link: ShareLink) -> None:
    response = Client().get(f"/shared/{link.token}/")
    assert response.status_code == 200
    assert "Proven safe up to 0.25\u00a0px in L2" in response.content.decode()


def test_it_shows_nothing_of_the_team_and_no_controls(link: ShareLink, user: User) -> None:
    html = Client().get(f"/shared/{link.token}/").content.decode()
    for secret in (
        "Secret team",
        user.username,
        "Share this report",
        "<form",
        f"/verifications/{link.verification_id}",
    ):
        assert secret not in html


def test_a_member_who_opens_it_sees_what_others_see(link: ShareLink, user: User) -> None:
    client = Client()
    client.force_login(user)
    html = client.get(f"/shared/{link.token}/").content.decode()
    assert "Secret team" not in html
    assert "<form" not in html


def test_search_engines_and_other_sites_do_not_learn_it(link: ShareLink) -> None:
    response = Client().get(f"/shared/{link.token}/")
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert 'name="robots" content="noindex' in response.content.decode()
    assert "no-store" in response.headers["Cache-Control"]


def test_its_pictures_open_without_an_account(link: ShareLink) -> None:
    client = Client()
    html = client.get(f"/shared/{link.token}/").content.decode()
    (address,) = re.findall(r'<img src="([^"]+)"', html)
    response = client.get(address)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "image/png"


def test_it_opens_no_pictures_of_another_verification(link: ShareLink, team: Team) -> None:
    other = make_ended(team).artifacts.get()
    assert Client().get(f"/api/v1/artifacts/{other.pk}/content/?share={link.token}").status_code == 404


def test_it_opens_nothing_else_of_the_api(link: ShareLink, verification: Verification) -> None:
    for address in ("", "bounds/", "artifacts/"):
        response = Client().get(f"/api/v1/verifications/{verification.pk}/{address}?share={link.token}")
        assert response.status_code == 401


def test_a_stranger_with_the_link_may_look_too(link: ShareLink, verification: Verification) -> None:
    stranger = make_user()
    make_team(stranger)
    artifact = verification.artifacts.get()
    client = signed_in(stranger)
    assert client.get(f"/api/v1/artifacts/{artifact.pk}/content/").status_code == 404
    assert client.get(f"/api/v1/artifacts/{artifact.pk}/content/?share={link.token}").status_code == 200


def _close(link: ShareLink, how: str) -> str:
    """The token of a link that does not open anything, for the reason `how`."""
    if how == "revoked":
        ShareLink.objects.filter(pk=link.pk).update(revoked_at=timezone.now())
    elif how == "expired":
        ShareLink.objects.filter(pk=link.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    return link.token if how != "unknown" else link.token[:-1]


@pytest.mark.parametrize("how", ["revoked", "expired", "unknown"])
def test_a_closed_link_opens_a_friendly_page_and_no_pictures(
    link: ShareLink, verification: Verification, how: str
) -> None:
    artifact = verification.artifacts.get()
    token = _close(link, how)
    response = Client().get(f"/shared/{token}/")
    assert response.status_code == 404
    assert "This link does not open a report" in response.content.decode()
    assert verification.video.name not in response.content.decode()
    assert Client().get(f"/api/v1/artifacts/{artifact.pk}/content/?share={token}").status_code == 404


def test_closed_links_do_not_say_why(link: ShareLink) -> None:
    pages = {Client().get(f"/shared/{token}/").content for token in ("no-such-token", _close(link, "revoked"))}
    assert len(pages) == 1


def test_tokens_cannot_be_guessed(user: User, verification: Verification) -> None:
    tokens = {create_share(user, verification).token for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) >= 43 for token in tokens)


def test_a_member_shares_and_revokes_on_the_report(user: User, verification: Verification) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    report = f"/verifications/{verification.pk}/report/"
    csrf = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(report).content.decode())[0]
    response = client.post(f"{report}share/", {"days": "7", "csrfmiddlewaretoken": csrf}, follow=True)
    link = ShareLink.objects.get()
    assert link.created_by == user
    assert link.expires_at is not None
    assert timedelta(days=6) < link.expires_at - timezone.now() <= timedelta(days=7)
    assert f"http://testserver/shared/{link.token}/" in response.content.decode()
    client.post(f"/shares/{link.pk}/revoke/", {"csrfmiddlewaretoken": csrf})
    assert Client().get(f"/shared/{link.token}/").status_code == 404
    assert link.token not in client.get(report).content.decode()


def test_the_forms_need_their_csrf_token(user: User, verification: Verification) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.post(f"/verifications/{verification.pk}/report/share/", {"days": "7"}).status_code == 403
    assert not ShareLink.objects.exists()


def test_a_visitor_cannot_share(verification: Verification) -> None:
    response = Client().post(f"/verifications/{verification.pk}/report/share/", {"days": "7"})
    assert response.status_code == 302
    assert not ShareLink.objects.exists()


@pytest.mark.parametrize("days", ["0", "-3", "soon", "999999", "1.5"])
def test_days_that_make_no_sense_are_refused_with_a_message(user: User, verification: Verification, days: Any) -> None:
    client = Client()
    client.force_login(user)
    response = client.post(f"/verifications/{verification.pk}/report/share/", {"days": days}, follow=True)
    assert "message-error" in response.content.decode()
    assert not ShareLink.objects.exists()


def test_the_api_shares_and_revokes_as_well(user: User, verification: Verification) -> None:
    client = signed_in(user)
    made = client.post(f"/api/v1/verifications/{verification.pk}/share/", {"days": None})
    assert made.status_code == 201
    assert (made.json()["expires_at"], made.json()["is_open"]) == (None, True)
    assert Client().get(made.json()["url"]).status_code == 200
    assert client.delete(f"/api/v1/shares/{made.json()['id']}/").status_code == 204
    assert Client().get(made.json()["url"]).status_code == 404


@pytest.mark.parametrize("days", [0, 4000, "soon"])
def test_the_api_refuses_days_that_make_no_sense(user: User, verification: Verification, days: Any) -> None:
    response = signed_in(user).post(f"/api/v1/verifications/{verification.pk}/share/", {"days": days})
    assert response.status_code == 400
    assert list(response.json()) == ["days"]


def test_a_deleted_verification_takes_its_links_along(user: User, link: ShareLink, verification: Verification) -> None:
    assert signed_in(user).delete(f"/api/v1/verifications/{verification.pk}/").status_code == 204
    assert Client().get(f"/shared/{link.token}/").status_code == 404


def test_downloads_on_the_shared_report_carry_the_link(link: ShareLink, verification: Verification) -> None:
    artifact = make_artifact(verification, Artifact.Kind.ADVERSARIAL_CLIP, content=b"npz")
    html = Client().get(f"/shared/{link.token}/").content.decode()
    assert f'href="/api/v1/artifacts/{artifact.pk}/content/?share={link.token}"' in html
