"""What is recorded with an adversarial example, on page, report, share link and API; and the switch for 8 bits there."""

import html
import json
import re
from typing import Any

import pytest
from django.test import Client

from tests.factories import make_artifact, make_team, make_user, make_video
from tests.web.api_support import light_classifier, make_ended, signed_in
from verification.models import Artifact, Team, Verification
from verification.services.shares import create_share

pytestmark = pytest.mark.django_db

EXAMPLE: dict[str, Any] = {
    "distances": {"l1": 31.5, "l2": 2.0, "linf": 0.125},
    "shares": [0.5, 0.25, 0.25],
    "quality": {"changed": 3, "psnr": 40.62, "psnr_worst": 34.879, "ssim": 0.99259, "ssim_worst": 0.9},
    "survives_rounding": False,
    "grey_levels": {"l1": 812.0, "l2": 20.25, "linf": 3.5},
    "parameters": None,
}


@pytest.fixture
def team() -> Team:
    return make_team(make_user("ada"))


@pytest.fixture
def client(team: Team) -> Client:
    client = Client()
    client.force_login(team.members.get())
    return client


def report(client: Client, verification: Verification) -> str:
    return _text(client.get(f"/verifications/{verification.pk}/report/").content)


def _text(content: bytes) -> str:
    return html.unescape(content.decode()).replace("\u00a0", " ")


def test_the_report_says_how_large_and_how_visible_it_is(client: Client, team: Team) -> None:
    text = report(client, make_ended(team, example=EXAMPLE))

    assert "L1 31.5 px, L2 2 px, L∞ 0.125 px" in text
    assert "1: 50 %, 2: 25 %, 3: 25 %" in text and "3 of 4" in text
    assert "40.62 dB on average, 34.87 dB in the worst frame" in text
    assert "0.9925 on average, 0.9 in the worst frame" in text
    assert "the class is the original one again" in text


def test_frames_that_do_not_differ_are_called_identical(client: Client, team: Team) -> None:
    same = {"changed": 0, "psnr": None, "psnr_worst": None, "ssim": 1.0, "ssim_worst": 1.0}

    assert "<dd>identical</dd>" in report(client, make_ended(team, example=EXAMPLE | {"quality": same}))


def test_a_run_from_before_has_a_report_without_figures(client: Client, team: Team) -> None:
    assert "The example</h2>" not in report(client, make_ended(team))


def test_the_film_and_the_files_are_offered_with_what_they_are_for(client: Client, team: Team) -> None:
    verification = make_ended(team, example=EXAMPLE)
    film = make_artifact(verification, Artifact.Kind.COMPARISON, content=b"webm")
    still = make_artifact(verification, Artifact.Kind.COMPARISON_STILL)
    flows = make_artifact(verification, Artifact.Kind.PERTURBED_FLO, content=b"zip")
    text = report(client, verification)

    assert re.search(f'<video controls muted loop playsinline [^>]*src="/api/v1/artifacts/{film.pk}/content/"', text)
    assert f'poster="/api/v1/artifacts/{still.pk}/content/"' in text
    assert "autoplay" not in text
    assert f'<a href="/api/v1/artifacts/{flows.pk}/content/" download>Perturbed flows, Middlebury</a>' in text


def test_a_share_link_plays_the_film_in_ranges_and_nobody_else_does(team: Team) -> None:
    verification = make_ended(team, example=EXAMPLE)
    film = make_artifact(verification, Artifact.Kind.COMPARISON, content=b"0123456789")
    share = create_share(team.members.get(), verification, 7)
    guest = Client()
    address = f"/api/v1/artifacts/{film.pk}/content/"

    assert f'src="{address}?share={share.token}"' in _text(guest.get(f"/shared/{share.token}/").content)
    part = guest.get(f"{address}?share={share.token}", headers={"Range": "bytes=2-4"})
    assert part.status_code == 206
    assert b"".join(part.streaming_content) == b"234"  # type: ignore[attr-defined]
    assert guest.get(address).status_code in {401, 404}


def test_the_api_and_the_page_carry_the_figures(client: Client, team: Team) -> None:
    verification = make_ended(team, example=EXAMPLE)
    shown = signed_in(team.members.get()).get(f"/api/v1/verifications/{verification.pk}/").json()
    page = client.get(f"/verifications/{verification.pk}/").content.decode()
    found = re.search(r'data-island="live" data-props="([^"]*)"', page)
    assert found is not None
    begin = json.loads(html.unescape(found[1]))

    assert shown["example"] == begin["verification"]["example"] == EXAMPLE
    assert (shown["eight_bit"], begin["verification"]["eight_bit"]) == (False, False)
    assert {file["kind"] for file in begin["files"]} >= {"comparison", "lossless-clip", "original-flo", "perturbed-flo"}


def test_8_bits_are_asked_for_by_api_and_form_and_said_everywhere(client: Client, team: Team) -> None:
    question = {"video": str(make_video(team).pk), "classifier": str(light_classifier(team).pk)}
    answer = signed_in(team.members.get()).post("/api/v1/verifications/", question | {"eight_bit": True}, format="json")
    assert answer.status_code == 201 and answer.json()["eight_bit"] is True
    form = question | {
        "norm": "l2", "space": "dense", "flows": "all", "seconds": "60", "seed": "0", "eight_bit": "on",
    }  # fmt: skip
    assert client.post("/verifications/new/", form).status_code == 302

    asked = list(Verification.objects.filter(eight_bit=True))
    assert len(asked) == 2
    for verification in asked:
        assert "examples in 8 bits" in client.get(f"/verifications/{verification.pk}/").content.decode()
        text = report(client, verification)
        assert "--eight-bit" in text and "only if they survive rounding to 8 bits" in text
        assert "stays changed after; the class named is that of the rounded frames" in text
