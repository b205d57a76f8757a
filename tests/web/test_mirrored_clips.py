"""Mirrored clips on the server: asked for by API and form, and the pair told by page, report, share link and API."""

import html
import json
import re
import shlex

import pytest
from django.test import Client

from tests.factories import LABELS, make_team, make_user, make_video
from tests.web.api_support import light_classifier, make_ended, make_queued, signed_in
from verification.models import Team, Verification
from verification.reports.commands import check_command, verify_command
from verification.services.shares import create_share

pytestmark = pytest.mark.django_db

SENTENCE = (
    "The clip is mirrored left to right. Given: “{given}” (confidence 93.1 %); mirrored: “{mirrored}” (confidence 88 %): "
    "the pair {verdict}."
)


@pytest.fixture
def team() -> Team:
    return make_team(make_user("ada"))


@pytest.fixture
def client(team: Team) -> Client:
    client = Client()
    client.force_login(team.members.get())
    return client


def text_at(client: Client, address: str) -> str:
    return html.unescape(client.get(address).content.decode()).replace("\u00a0", " ")


def test_it_is_asked_for_by_api_and_form(client: Client, team: Team) -> None:
    question = {"video": str(make_video(team).pk), "classifier": str(light_classifier(team).pk)}
    api = signed_in(team.members.get())
    answer = api.post("/api/v1/verifications/", question | {"mirrored": True}, format="json")
    assert answer.status_code == 201 and answer.json()["mirrored"] is True
    form = question | {"norm": "l2", "space": "dense", "flows": "all", "seconds": "60", "seed": "0"}
    assert client.post("/verifications/new/", form | {"mirrored": "on"}).status_code == 302
    assert client.post("/verifications/new/", form).status_code == 302
    assert api.post("/api/v1/verifications/", question, format="json").json()["mirrored"] is False
    assert (
        Verification.objects.filter(mirrored=True).count() == Verification.objects.filter(mirrored=False).count() == 2
    )
    offered = text_at(client, "/verifications/new/")
    assert "Mirror the clip" in offered and "the question is asked of the mirrored clip" in offered


def test_what_is_no_truth_value_is_refused_and_nothing_is_saved(team: Team) -> None:
    question = {"video": str(make_video(team).pk), "classifier": str(light_classifier(team).pk), "mirrored": "sideways"}
    answer = signed_in(team.members.get()).post("/api/v1/verifications/", question, format="json")
    assert answer.status_code == 400 and answer.json().keys() == {"mirrored"}
    assert not Verification.objects.exists()


@pytest.mark.parametrize(("given", "agrees"), [(1, False), (0, True)])
def test_page_report_share_link_and_api_tell_the_pair(client: Client, team: Team, given: int, agrees: bool) -> None:
    verification = make_ended(team, mirrored=True, confidence=0.88, given_label=given, given_confidence=0.931)
    verdict = "agrees" if agrees else "does not agree"
    said = SENTENCE.format(given=LABELS[given], mirrored=LABELS[0], verdict=verdict)

    shown = signed_in(team.members.get()).get(f"/api/v1/verifications/{verification.pk}/").json()
    fields = ("label", "given_label", "given_label_name", "given_confidence", "pair_agrees")
    assert [shown[field] for field in fields] == [0, given, LABELS[given], 0.931, agrees]

    page = client.get(f"/verifications/{verification.pk}/").content.decode()
    assert said in html.unescape(page) and "clip mirrored left to right" in page
    found = re.search(r'data-island="live" data-props="([^"]*)"', page)
    assert found is not None
    begin = json.loads(html.unescape(found[1]))["verification"]
    assert [begin[field] for field in fields] == [shown[field] for field in fields]

    share = create_share(team.members.get(), verification)
    for address in (f"/verifications/{verification.pk}/report/", f"/shared/{share.token}/"):
        report = text_at(client, address)
        assert said in report and f"leaves the class of the mirrored clip at “{LABELS[0]}”" in report
        assert "sampling uniform, mirrored left to right" in report
        assert "both bounds are those of the mirrored clip" in report
        assert " --mirror " in report


def test_a_pair_that_is_not_known_yet_is_not_told(client: Client, team: Team) -> None:
    waiting = make_queued(team, mirrored=True)
    shown = signed_in(team.members.get()).get(f"/api/v1/verifications/{waiting.pk}/").json()
    assert (shown["mirrored"], shown["given_label_name"], shown["pair_agrees"]) == (True, None, None)
    page = text_at(client, f"/verifications/{waiting.pk}/")
    assert "clip mirrored left to right" in page and "the pair" not in page
    assert "4 frames, mirrored" in text_at(client, "/")


def test_nothing_is_said_of_mirrors_where_there_is_none(client: Client, team: Team) -> None:
    plain = make_ended(team)
    shown = signed_in(team.members.get()).get(f"/api/v1/verifications/{plain.pk}/").json()
    assert (shown["mirrored"], shown["given_label"], shown["given_confidence"], shown["pair_agrees"]) == (False,) + (
        None,
    ) * 3
    for address in (f"/verifications/{plain.pk}/", f"/verifications/{plain.pk}/report/"):
        visible = re.sub(r'data-props="[^"]*"', "", client.get(address).content.decode())
        assert "mirror" not in visible.lower()


def test_the_command_asks_the_same_and_the_checker_needs_no_option(team: Team) -> None:
    verification = make_ended(team, mirrored=True)
    assert "--mirror" in shlex.split(verify_command(verification))
    assert "--mirror" not in shlex.split(check_command(verification))
