"""The report page: the words, the table, the pictures and what is needed to repeat it; for members only."""

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from tests.factories import add_bounds, make_artifact, make_team, make_user
from tests.web.api_support import make_ended, make_queued, make_running
from verification.models import Artifact, Team, Verification
from verification.services.shares import create_share

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team(make_user("ada"), name="Secret team")


@pytest.fixture
def client(team: Team) -> Client:
    client = Client()
    client.force_login(team.members.get())
    return client


def page(client: Client, verification: Verification) -> str:
    response = client.get(f"/verifications/{verification.pk}/report/")
    assert response.status_code == 200
    return unescape(response.content.decode()).replace("\u00a0", " ")


def chart(html: str) -> list[dict[str, Any]]:
    """The points that the page gives to the chart."""
    (properties,) = re.findall(r'data-island="report" data-props="([^"]*)"', html)
    points: list[dict[str, Any]] = json.loads(unescape(properties))["points"]
    return points


def test_it_states_what_is_proven_and_what_was_found(client: Client, team: Team) -> None:
    text = page(client, make_ended(team))
    assert "Every manipulation of the optical flow whose L2 size is at most 0.25 px leaves the class" in text
    assert "A manipulation of size 2 px changes the class to “right” (confidence 60 %)" in text
    assert "Between the two, a factor of 8, nothing is known." in text


@pytest.mark.parametrize(
    ("make", "fields", "words"),
    [
        (make_queued, {}, "The verification waits for a worker."),
        (make_running, {"label": 0, "lower": 0.1}, "its bounds can only get tighter"),
        (make_ended, {"status": "converged", "upper": 0.2501}, "The bounds met to within the tolerance"),
        (
            make_ended,
            {"status": "certified", "upper": None, "radius": 0.25},
            "The whole radius asked for, 0.25 px, holds no adversarial example.",
        ),
        (make_ended, {"status": "exhausted", "lower": 0.0}, "No radius was proven safe"),
        (make_ended, {"status": "cancelled"}, "A person stopped the verification after 1 min."),
        (
            make_ended,
            {"status": "failed", "error": "The worker died 3 times."},
            "The verification failed after 1 min: The worker died 3 times.",
        ),
        (make_ended, {"realisation_median": 1.2}, "This is large: the extractor hardly sees"),
        (make_ended, {"lower_guarantee": "conditional"}, "this is not a proof"),
    ],
)
def test_every_state_has_its_words(
    client: Client, team: Team, make: Callable[..., Any], fields: dict[str, Any], words: str
) -> None:
    assert words in page(client, make(team, **fields))


def test_an_estimate_is_nowhere_called_sound(client: Client, team: Team) -> None:
    text = page(client, make_ended(team, lower_guarantee="conditional"))
    assert "This is a proof" not in text
    assert "Proven safe" not in text
    assert '<span class="tag tag-proven">sound</span>' not in text


def test_the_chart_gets_the_recorded_points(client: Client, team: Team) -> None:
    html = client.get(f"/verifications/{make_ended(team).pk}/report/").content.decode()
    assert [(point["number"], point["lower"], point["upper"]) for point in chart(html)] == [
        (1, 0.0, 4.0),
        (2, 0.25, 4.0),
        (3, 0.25, 2.0),
    ]


def test_a_long_history_is_condensed_but_keeps_its_turning_points(client: Client, team: Team) -> None:
    verification = make_ended(team)
    add_bounds(verification, [(float(n), 0.25 + n * 1e-6, 2.0 - n * 1e-6) for n in range(4, 5000)])
    html = client.get(f"/verifications/{verification.pk}/report/").content.decode()
    points = chart(html)
    numbers = [point["number"] for point in points]
    assert len(numbers) < 1100
    assert {1, 2, 4999} <= set(numbers)
    assert numbers == sorted(set(numbers))
    assert html.count('class="report-point"') < 20
    assert "of 4999 recorded points" in html


def test_every_frame_pair_shows_its_pictures(client: Client, team: Team) -> None:
    verification = make_ended(team)
    pictures = {
        (kind, flow): make_artifact(verification, kind, flow)
        for flow in (1, 2, 3)
        for kind in Artifact.Kind
        if kind.value.endswith(("frame", "magnitude", "direction")) and (kind.value, flow) != ("frame", 1)
    }
    last = make_artifact(verification, Artifact.Kind.FRAME, 4)
    text = page(client, verification)
    for artifact in [*pictures.values(), last, verification.artifacts.get(kind="frame", flow=1)]:
        assert f'src="/api/v1/artifacts/{artifact.pk}/content/"' in text
    assert text.count("<img") == 3 * 8 + 1
    assert 'alt="Difference magnitude 2"' in text
    assert "the last frame" in text


def test_data_files_can_be_downloaded(client: Client, team: Team) -> None:
    verification = make_ended(team)
    artifact = make_artifact(verification, Artifact.Kind.ADVERSARIAL_FLOWS, content=b"npz")
    assert f'href="/api/v1/artifacts/{artifact.pk}/content/"' in page(client, verification)


def test_it_holds_what_is_needed_to_repeat_it(client: Client, team: Team) -> None:
    verification = make_ended(team, flows=[1, 3], radius=0.3, seed=7, versions={"torch": "2.13.0", "numpy": "2.4.6"})
    text = page(client, verification)
    for fact in (
        verification.video.sha256,
        verification.classifier.sha256,
        "numpy 2.4.6, torch 2.13.0",
        "4 frames of 16 × 16, sampling uniform, channels rgb",
        "farneback, flows that may change: 1, 3",
        "python manage.py verify clip.avi --classifier weights.safetensors --frames 4 --sampling uniform "
        "--norm l2 --space dense --flows 1,3 --radius 0.3 --flow farneback --seconds 60 --seed 7",
    ):
        assert fact in text


def test_it_says_how_examples_were_looked_for(client: Client, team: Team) -> None:
    usual, papers = (
        page(client, make_ended(team, upper_method=method)) for method in ("gradient", "finite-difference")
    )
    assert "The exact gradient" in usual and "--upper" not in usual
    assert "The paper's finite differences" in papers
    assert "--space dense --upper finite-difference --flow farneback" in papers


def test_names_are_shown_as_text(client: Client, team: Team) -> None:
    verification = make_ended(team, name="<script>alert(1)</script>")
    html = client.get(f"/verifications/{verification.pk}/report/").content.decode()
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_it_can_be_printed(client: Client, team: Team) -> None:
    response = client.get(f"/verifications/{make_ended(team).pk}/report/")
    assert b"reports/report.css" in response.content
    css = b"".join(client.get("/static/reports/report.css"))
    assert b"@media print" in css
    assert b"break-inside: avoid" in css


def test_a_visitor_is_sent_to_the_login(team: Team) -> None:
    verification = make_ended(team)
    response = Client().get(f"/verifications/{verification.pk}/report/")
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/login/?next=/verifications/")


def test_another_team_finds_nothing(team: Team) -> None:
    stranger = make_user()
    make_team(stranger)
    client = Client()
    client.force_login(stranger)
    verification = make_ended(team)
    assert client.get(f"/verifications/{verification.pk}/report/").status_code == 404
    assert client.post(f"/verifications/{verification.pk}/report/share/").status_code == 404
    link = create_share(team.members.get(), verification)
    assert client.post(f"/shares/{link.pk}/revoke/").status_code == 404
    link.refresh_from_db()
    assert link.is_open
