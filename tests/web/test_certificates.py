"""The certificate of a verification as people and programs meet it: on the page, in the report, behind a link, over the API."""

import html
import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import make_team, make_user
from tests.web.api_support import make_ended, make_queued, make_running, signed_in
from verification.engine.result import Status
from verification.models import Artifact, Team, Verification
from verification.services import artifacts, recording
from verification.services.artifacts import ArtifactFile
from verification.services.shares import create_share

pytestmark = pytest.mark.django_db

CONTENT = b'{"format": "made for a test"}\n'


def file(content: bytes = CONTENT) -> ArtifactFile:
    return ArtifactFile(Artifact.Kind.CERTIFICATE, None, "certificate.json", "application/json", content)


def make_certified(team: Team, radius: float = 0.249999, **fields: Any) -> Verification:
    """A verification that ended with a certificate of `radius`, its lower bound being 0.25."""
    known = {"certificate": True, "label": 0, "lower": 0.25, "space": "translation", "flows": [2], "elapsed": 60.0}
    verification = make_running(team, **known | fields)
    artifacts.record_certificate(verification, radius, file())
    recording.finish(verification, Status.EXHAUSTED, 61.0)
    return verification


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return html.unescape(response.content.decode()).replace("\u00a0", " ")


def pages(verification: Verification) -> list[str]:
    return [f"/verifications/{verification.pk}/", f"/verifications/{verification.pk}/report/"]


def props(client: Client, verification: Verification) -> dict[str, Any]:
    """What the live island begins with."""
    page = client.get(f"/verifications/{verification.pk}/").content.decode()
    found = re.search(r'data-island="live" data-props="([^"]*)"', page)
    assert found
    answer: dict[str, Any] = json.loads(html.unescape(found[1]))
    return answer


def test_both_pages_say_what_it_proves_and_how_it_is_checked(client: Client, team: Team) -> None:
    verification = make_certified(team, frames=4, first=2, last=11)
    stored = verification.artifacts.get(kind=Artifact.Kind.CERTIFICATE)
    for address in pages(verification):
        text = text_of(client, address)
        assert "shifts flow 2 as a whole whose L2 size is at most 0.2499 px leaves the class at “left”" in text
        assert "The search has proven more, 0.25 px" in text
        assert f'href="/api/v1/artifacts/{stored.pk}/content/"' in text
        assert (
            f"python manage.py check_certificate certificate.json --video {verification.video.name} "
            "--classifier weights.safetensors --frames 4 --first 2 --last 11 --sampling uniform"
        ) in text
        assert "trusts neither the search" in text
    begin = props(client, verification)
    assert begin["verification"]["certificate_radius"] == 0.249999
    assert begin["certificate"]["command"].startswith("python manage.py check_certificate certificate.json --video ")


@pytest.mark.parametrize("radius", [0.25, 0.25 * (1 - 1e-12)])
def test_a_difference_that_no_digit_shows_is_not_talked_about(client: Client, team: Team, radius: float) -> None:
    verification = make_certified(team, radius, lower=0.2500000001)
    for address in pages(verification):
        assert ("has proven more" in text_of(client, address)) == (radius < 0.25)


def test_numbers_of_the_input_are_given_in_full(client: Client, team: Team) -> None:
    verification = make_certified(team)
    verification.classifier.mean = [0.48501961, 0.45795686, 0.40760392]
    verification.classifier.save()
    text = text_of(client, pages(verification)[1])
    assert text.count("--mean 0.48501961 0.45795686 0.40760392") == 2  # to ask again, and to check


@pytest.mark.parametrize(
    ("make", "fields", "words"),
    [
        (make_queued, {}, "It will be written when the bounds are final."),
        (make_running, {}, "It will be written when the bounds are final."),
        (make_running, {"certifying": True}, "The bounds are final. The certificate is being written"),
        (make_running, {"uncertified": "Too weak."}, "None. Too weak."),
        (make_ended, {"uncertified": "Too weak."}, "None. Too weak."),
        (make_ended, {"status": "failed"}, "None. The run ended before a certificate was written."),
    ],
)
def test_where_there_is_none_it_is_said_why(
    client: Client, team: Team, make: Any, fields: dict[str, Any], words: str
) -> None:
    verification = make(team, certificate=True, **fields)
    for address in pages(verification):
        text = text_of(client, address)
        assert words in text
        assert "check-command" not in text and "download>Certificate" not in text


def test_who_did_not_ask_reads_nothing_of_it(client: Client, team: Team) -> None:
    verification = make_ended(team)
    for address in pages(verification):
        assert "check_certificate" not in text_of(client, address)
    assert props(client, verification)["certificate"] is None


def test_while_it_is_written_a_person_can_stop_and_knows_what_that_costs(client: Client, team: Team) -> None:
    running = make_running(team, certificate=True, certifying=True)
    assert "Stop, without certificate" in text_of(client, pages(running)[0])
    client.post(f"/verifications/{running.pk}/cancel/")
    running.refresh_from_db()
    assert running.cancel_requested


def test_the_api_tells_the_same(team: Team, user: User) -> None:
    client = signed_in(user)
    verification = make_certified(team)
    found = client.get(f"/api/v1/verifications/{verification.pk}/").json()
    assert (found["certificate"], found["certifying"], found["uncertified"]) == (True, False, "")
    assert found["certificate_radius"] == 0.249999
    listed = client.get(found["urls"]["artifacts"]).json()
    (stored,) = [one for one in listed if one["kind"] == "certificate"]
    assert (stored["name"], stored["content_type"], stored["flow"]) == ("certificate.json", "application/json", None)
    answer = client.get(stored["url"])
    assert b"".join(answer) == CONTENT
    assert answer.headers["Content-Disposition"] == 'attachment; filename="certificate.json"'
    without = client.get(f"/api/v1/verifications/{make_ended(team, certificate=True, uncertified='No.').pk}/").json()
    assert (without["certificate_radius"], without["uncertified"]) == (None, "No.")


def test_only_the_team_and_who_has_the_link_get_the_file(team: Team, user: User) -> None:
    verification, other = make_certified(team), make_ended(team)
    stored = verification.artifacts.get(kind=Artifact.Kind.CERTIFICATE)
    address = f"/api/v1/artifacts/{stored.pk}/content/"
    stranger = make_user("mallory")
    make_team(stranger)
    link, elsewhere = create_share(user, verification), create_share(user, other)
    assert signed_in(stranger).get(address).status_code == 404
    assert [signed_in(stranger).get(page).status_code for page in pages(verification)] == [404, 404]
    assert signed_in().get(address).status_code == 401
    assert signed_in().get(f"{address}?share={elsewhere.token}").status_code == 404
    shared = text_of(Client(), f"/shared/{link.token}/")
    assert f'href="{address}?share={link.token}"' in shared
    assert "check_certificate certificate.json" in shared
    assert b"".join(signed_in().get(f"{address}?share={link.token}")) == CONTENT


def test_a_certificate_that_is_written_again_replaces_the_first(team: Team) -> None:
    running = make_running(team, certificate=True, uncertified="Too weak.", lower=0.25)
    artifacts.record_certificate(running, 0.1, file())
    artifacts.record_certificate(running, 0.2, file(b"{}"))
    stored = running.artifacts.get(kind=Artifact.Kind.CERTIFICATE)
    assert (stored.revision, stored.file.read()) == (2, b"{}")
    running.refresh_from_db()
    assert (running.certificate_radius, running.no_certificate) == (0.2, "")


@pytest.mark.parametrize("end", ["finish", "fail", "release"])
def test_however_a_run_ends_nothing_is_being_written_any_more(team: Team, end: str) -> None:
    running = make_running(team, certificate=True)
    recording.record_certifying(running)
    ways: dict[str, Any] = {
        "finish": lambda: recording.finish(running, Status.STOPPED, 1.0),
        "fail": lambda: recording.fail(running, "Out of memory."),
        "release": lambda: recording.release(running),
    }
    ways[end]()
    running.refresh_from_db()
    assert not running.certifying
