"""Share links: they open one report to whoever has them, until they expire or are revoked."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import make_finished, make_team, make_user
from verification.models import ShareLink
from verification.services import shares
from verification.services.errors import Invalid, NotAllowed

pytestmark = pytest.mark.django_db


def test_a_link_opens_its_verification() -> None:
    user = make_user()
    verification = make_finished(make_team(user))
    link = shares.create_share(user, verification)
    assert shares.open(link.token) == verification
    assert len(link.token) >= 43, "256 bits"


def test_every_link_is_another() -> None:
    user = make_user()
    verification = make_finished(make_team(user))
    tokens = {shares.create_share(user, verification).token for _ in range(5)}
    assert len(tokens) == 5


def test_an_expired_link_is_closed() -> None:
    user = make_user()
    link = shares.create_share(user, make_finished(make_team(user)), days=1)
    ShareLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Invalid, match="not valid"):
        shares.open(link.token)


def test_a_revoked_link_is_closed_and_the_others_stay() -> None:
    user = make_user()
    verification = make_finished(make_team(user))
    first, second = (shares.create_share(user, verification) for _ in range(2))
    shares.revoke(user, first)
    with pytest.raises(Invalid):
        shares.open(first.token)
    assert shares.open(second.token) == verification


def test_an_unknown_link_says_the_same_as_a_revoked_one() -> None:
    user = make_user()
    link = shares.create_share(user, make_finished(make_team(user)))
    shares.revoke(user, link)
    with pytest.raises(Invalid) as revoked:
        shares.open(link.token)
    with pytest.raises(Invalid) as unknown:
        shares.open("never-existed")
    assert str(revoked.value) == str(unknown.value)


def test_a_stranger_neither_shares_nor_revokes() -> None:
    user, stranger = make_user(), make_user()
    verification = make_finished(make_team(user))
    with pytest.raises(NotAllowed):
        shares.create_share(stranger, verification)
    link = shares.create_share(user, verification)
    with pytest.raises(NotAllowed):
        shares.revoke(stranger, link)
    assert shares.open(link.token) == verification


@pytest.mark.parametrize("days", [0, -1, 100_000])
def test_days_that_make_no_sense(days: int) -> None:
    user = make_user()
    verification = make_finished(make_team(user))
    with pytest.raises(Invalid):
        shares.create_share(user, verification, days)
    assert not ShareLink.objects.exists()
