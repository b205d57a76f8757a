"""Who may watch: asked when the socket opens and again while it is open."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from tests.factories import make_team, make_user, make_verification
from tests.live.sockets import close_code, cookie_of, logged_in, socket
from verification.live import consumers
from verification.models import Membership, Verification
from verification.services import shares

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner() -> User:
    return make_user()


@pytest.fixture
def verification(owner: User) -> Verification:
    return make_verification(make_team(owner), owner)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Permission and database are looked at many times a second."""
    monkeypatch.setattr(consumers, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(consumers, "ACCESS_SECONDS", 0.0)
    yield


async def test_a_member_is_told_about_the_verification(owner: User, verification: Verification) -> None:
    connection = socket(verification.pk, cookie_of(await sync_to_async(logged_in)(owner)))
    accepted, _ = await connection.connect()
    message = await connection.receive_json_from(5)
    await connection.disconnect()
    assert accepted
    assert message["type"] == "snapshot"
    assert message["verification"]["id"] == str(verification.pk)


async def test_a_visitor_is_told_to_log_in(verification: Verification) -> None:
    connection = socket(verification.pk)
    await connection.connect()
    assert await close_code(connection) == 4401


async def test_another_team_learns_no_more_than_that_nothing_is_there(verification: Verification) -> None:
    stranger = await sync_to_async(make_user)()
    await sync_to_async(make_team)(stranger)
    cookie = cookie_of(await sync_to_async(logged_in)(stranger))
    for asked in (verification.pk, uuid4()):
        connection = socket(asked, cookie)
        await connection.connect()
        assert await close_code(connection) == 4404


async def test_a_share_link_opens_its_verification_only(owner: User, verification: Verification) -> None:
    link = await sync_to_async(shares.create_share)(owner, verification)
    other = await sync_to_async(make_verification)(verification.team, owner)
    connection = socket(verification.pk, query=f"share={link.token}")
    await connection.connect()
    assert (await connection.receive_json_from(5))["type"] == "snapshot"
    await connection.disconnect()
    for asked, token in ((other.pk, link.token), (verification.pk, "guessed")):
        connection = socket(asked, query=f"share={token}")
        await connection.connect()
        assert await close_code(connection) == 4403


async def test_a_foreign_site_cannot_open_a_socket_with_the_visitors_cookies(
    owner: User, verification: Verification
) -> None:
    cookie = cookie_of(await sync_to_async(logged_in)(owner))
    accepted, _ = await socket(verification.pk, cookie, origin=b"https://elsewhere.example").connect()
    assert not accepted


async def test_a_revoked_link_closes_the_open_socket(impatient: None, owner: User, verification: Verification) -> None:
    link = await sync_to_async(shares.create_share)(owner, verification)
    connection = socket(verification.pk, query=f"share={link.token}")
    await connection.connect()
    await connection.receive_json_from(5)
    await sync_to_async(shares.revoke)(owner, link)
    assert await close_code(connection) == 4403


async def test_a_lost_membership_closes_the_open_socket(impatient: None, verification: Verification) -> None:
    member = await sync_to_async(make_user)(team=verification.team)
    connection = socket(verification.pk, cookie_of(await sync_to_async(logged_in)(member)))
    await connection.connect()
    await connection.receive_json_from(5)
    await Membership.objects.filter(user=member).adelete()
    assert await close_code(connection) == 4404


async def test_a_logout_closes_the_open_socket(impatient: None, owner: User, verification: Verification) -> None:
    client = await sync_to_async(logged_in)(owner)
    connection = socket(verification.pk, cookie_of(client))
    await connection.connect()
    await connection.receive_json_from(5)
    await sync_to_async(client.logout)()
    assert await close_code(connection) == 4401
