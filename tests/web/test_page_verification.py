"""The live page: what it carries to the browser, who may see it, and how a run is stopped or deleted."""

import html
import json
import re
from typing import Any

import pytest
from django.test import Client

from tests.factories import add_bounds, make_team, make_user
from tests.web.api_support import make_ended, make_running
from verification.models import Verification
from verification.pages import verifications as page_views

pytestmark = pytest.mark.django_db


def props(client: Client, verification: Verification) -> dict[str, Any]:
    """What the live island begins with."""
    page = client.get(f"/verifications/{verification.pk}/").content.decode()
    found = re.search(r'data-island="live" data-props="([^"]*)"', page)
    assert found
    return json.loads(html.unescape(found[1]))


def test_the_page_carries_everything_to_begin_with(client, team):
    ended = make_ended(team)
    begin = props(client, ended)
    assert begin["verification"]["id"] == str(ended.pk)
    assert begin["verification"]["lower"] == ended.lower
    assert [point["number"] for point in begin["points"]] == list(range(1, ended.bounds.count() + 1))
    assert begin["lastNumber"] == ended.bounds.count()
    assert begin["artifacts"][0]["url"].startswith("/api/v1/artifacts/")
    assert begin["report"] == f"/verifications/{ended.pk}/report/"


def test_a_long_run_travels_in_part_and_says_how_much_there_is(client, team, monkeypatch):
    monkeypatch.setattr(page_views, "POINTS_IN_PAGE", 3)
    running = make_running(team)
    running.bounds.all().delete()
    add_bounds(running, [(float(second), second / 10, None) for second in range(1, 8)])
    begin = props(client, running)
    assert [point["number"] for point in begin["points"]] == [1, 2, 3]
    assert begin["lastNumber"] == 7


def test_the_page_names_the_extractor_where_flow_is_changed(client, team):
    ended = make_ended(team)
    Verification.objects.filter(pk=ended.pk).update(extractor="dis:delta=0")
    assert "all flows by dis:delta=0" in client.get(f"/verifications/{ended.pk}/").content.decode()
    Verification.objects.filter(pk=ended.pk).update(space="pixels")
    assert "by dis" not in client.get(f"/verifications/{ended.pk}/").content.decode()


def test_a_small_radius_is_not_rounded_to_nothing(client, team):
    ended = make_ended(team)
    Verification.objects.filter(pk=ended.pk).update(radius=0.00003)
    assert "up to 0.00003 px" in client.get(f"/verifications/{ended.pk}/").content.decode()


def test_names_cannot_break_out_of_the_page(client, team):
    ended = make_ended(team)
    Verification.objects.filter(pk=ended.pk).update(name='"><script>alert(1)</script>')
    page = client.get(f"/verifications/{ended.pk}/").content.decode()
    assert "<script>alert" not in page
    assert props(client, ended)["verification"]["name"] == '"><script>alert(1)</script>'


def test_without_javascript_the_bounds_are_there(client, team):
    ended = make_ended(team)
    Verification.objects.filter(pk=ended.pk).update(lower=0.123456, upper=2.0)
    assert "0.1234 px" in client.get(f"/verifications/{ended.pk}/").content.decode()


@pytest.mark.parametrize("part", ["", "cancel/", "delete/"])
def test_a_verification_of_another_team_does_not_exist(team, part):
    running = make_running(team)
    stranger = make_user("mallory")
    make_team(stranger)
    client = Client()
    client.force_login(stranger)
    address = f"/verifications/{running.pk}/{part}"
    assert (client.post(address) if part else client.get(address)).status_code == 404
    running.refresh_from_db()
    assert not running.cancel_requested


def test_cancel_keeps_the_bounds(client, team):
    running = make_running(team)
    before = running.bounds.count()
    answer = client.post(f"/verifications/{running.pk}/cancel/")
    assert answer["Location"] == f"/verifications/{running.pk}/"
    running.refresh_from_db()
    assert running.cancel_requested
    assert running.bounds.count() == before


def test_cancel_of_what_has_ended_is_explained(client, team):
    ended = make_ended(team)
    answer = client.post(f"/verifications/{ended.pk}/cancel/", follow=True)
    assert "has ended already" in answer.content.decode()


def test_looking_at_the_address_of_cancel_or_delete_changes_nothing(client, team):
    running = make_running(team)
    for part in ("cancel", "delete"):
        assert client.get(f"/verifications/{running.pk}/{part}/").status_code == 405
    running.refresh_from_db()
    assert not running.cancel_requested


def test_an_ended_verification_can_be_deleted(client, team):
    ended = make_ended(team)
    answer = client.post(f"/verifications/{ended.pk}/delete/", follow=True)
    assert "is deleted" in answer.content.decode()
    assert not Verification.objects.exists()


def test_a_running_verification_is_not_deleted(client, team):
    running = make_running(team)
    answer = client.post(f"/verifications/{running.pk}/delete/", follow=True)
    assert "cancel it first" in answer.content.decode()
    assert Verification.objects.filter(pk=running.pk).exists()
