"""A verification in the space of pixels, wherever people meet it: numbers are pixel values, and no flow is spoken of."""

import html
import json
import re
from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.test import Client

from flowverify.supervisor.progress import describe
from tests.factories import make_artifact, make_video
from tests.web.api_support import light_classifier, make_ended, signed_in
from verification.models import Artifact, Team, Verification
from verification.reports.explanations import explanations
from verification.reports.facts import Facts
from verification.reports.wording import headline, summary
from verification.services.errors import Invalid
from verification.services.verifications import create_verification

pytestmark = pytest.mark.django_db

FACTS = Facts(
    status="exhausted",
    frames=4,
    height=16,
    width=16,
    sampling="uniform",
    norm="linf",
    space="pixels",
    extractor="farneback",
    seconds=60.0,
    label="walks",
    confidence=0.9,
    lower=0.01,
    upper=0.02,
    upper_label="runs",
    upper_confidence=0.5,
)


@pytest.fixture
def ended(team: Team) -> Verification:
    """Bounds 0.25 and 2 in L2, with the pictures of such a run."""
    ended = make_ended(team)
    ended.artifacts.exclude(kind=Artifact.Kind.FRAME).delete()
    for kind in (Artifact.Kind.PERTURBED_FRAME, Artifact.Kind.FRAME_DIFFERENCE):
        make_artifact(ended, kind=kind, flow=1)
    Verification.objects.filter(pk=ended.pk).update(space="pixels", radius=2.5)
    ended.refresh_from_db()
    return ended


def read(client: Client, address: str) -> str:
    """The words of a page, without its scripts' properties."""
    page = client.get(address).content.decode()
    return html.unescape(re.sub(r'data-props="[^"]*"', "", page)).replace("\u00a0", " ")


def test_the_report_speaks_of_pixel_values() -> None:
    assert summary(FACTS) == (
        "The classifier sees “walks” in this clip (confidence 90 %). "
        "Every change of pixel values whose L∞ size is at most 0.01 (2.55 grey levels) leaves the class at “walks”. "
        "This is a proof for all of them, not only for those that were tried. "
        "A change of size 0.02 (5.1 grey levels) changes the class to “runs” (confidence 50 %); it is a concrete example. "
        "Between the two, a factor of 2, nothing is known. "
        "The budget of 1 min is spent."
    )
    assert headline(FACTS) == (
        "Proven safe up to 0.01 (2.55 grey levels) in L∞; the class changes at 0.02 (5.1 grey levels)"
    )


@pytest.mark.parametrize("upper", [0.02, None])
@pytest.mark.parametrize("lower", [0.01, 0.0])
@pytest.mark.parametrize("status", ["queued", "running", "exhausted", "certified", "cancelled"])
def test_no_state_of_it_speaks_of_flow(status: str, lower: float, upper: float | None) -> None:
    facts = replace(FACTS, status=status, lower=lower, upper=upper, radius=0.5)
    text = " ".join([headline(facts), summary(facts), *(one.text for one in explanations(facts))])
    assert " px" not in text and "manipulat" not in text
    assert "flow" not in text.replace("No flow is imposed", "")
    assert "are clipped, and only what remains of the change counts" in text


def test_the_pages_say_the_unit(client: Client, ended: Verification) -> None:
    page = read(client, f"/verifications/{ended.pk}/")
    assert "0.25 (63.75 grey levels)" in page and "2 (510 grey levels)" in page
    assert "every pixel, up to 2.5 (637.5 grey levels)" in page
    assert " px" not in page and "all flows" not in page
    assert "0.25 (63.75 grey levels)" in read(client, "/")


def test_the_report_page_shows_frames_and_the_unit(client: Client, ended: Verification) -> None:
    page = read(client, f"/verifications/{ended.pk}/report/")
    assert "Lower bound, pixel value (grey levels)" in page and "0.25 (63.75)" in page
    assert "Difference frame 1" in page and "Magnitude" not in page and "flows that may change" not in page
    assert "middle grey is unchanged" in page
    assert " px" not in page


def test_the_page_of_a_flow_still_says_px(client: Client, team: Team) -> None:
    ended = make_ended(team)
    assert "0.25 px" in read(client, f"/verifications/{ended.pk}/") and "0.25 px" in read(client, "/")
    assert "Lower bound, px" in read(client, f"/verifications/{ended.pk}/report/")


def test_the_islands_are_told_the_unit(client: Client, ended: Verification) -> None:
    for address, unit in (("", "distance_unit"), ("report/", "unit")):
        page = client.get(f"/verifications/{ended.pk}/{address}").content.decode()
        found = re.search(r'data-island="(?:live|report)" data-props="([^"]*)"', page)
        assert found is not None
        props = json.loads(html.unescape(found[1]))
        assert props.get("verification", props)[unit] == "value"


def test_the_console_says_the_unit(ended: Verification) -> None:
    assert describe(ended).startswith("lower bound 0.25 (63.75 grey levels) (proven)   upper bound 2 (510 grey levels)")


def test_the_api_takes_it_and_says_the_unit(user: User, team: Team) -> None:
    body = {"video": str(make_video(team).pk), "classifier": str(light_classifier(team).pk), "space": "pixels"}
    api = signed_in(user)

    made = api.post("/api/v1/verifications/", body).json()
    refused = api.post("/api/v1/verifications/", body | {"flows": [1]})

    assert (made["space"], made["distance_unit"], made["flows"]) == ("pixels", "value", None)
    assert refused.status_code == 400
    assert "changes the frames themselves and no flow" in refused.json()["flows"][0]


def test_the_form_offers_it_and_refuses_flows(client: Client, team: Team) -> None:
    video, classifier = make_video(team), light_classifier(team)
    answers = {
        "video": video.pk, "classifier": classifier.pk, "norm": "linf", "space": "pixels", "flows": "all", "seconds": 5,
        "seed": 0,
    }  # fmt: skip

    assert 'value="pixels"' in client.get("/verifications/new/").content.decode()
    refused = client.post("/verifications/new/", answers | {"flows": "1,2"})
    assert refused.status_code == 400 and "changes the frames themselves and no flow" in refused.content.decode()
    assert client.post("/verifications/new/", answers).status_code == 302
    assert Verification.objects.get().space == "pixels"


def test_a_wrong_radius_is_refused_in_its_unit(user: User, team: Team) -> None:
    video, classifier = make_video(team), light_classifier(team)
    for space, unit in (("pixels", "pixel values from 0 to 1"), ("dense", "pixels of optical flow")):
        with pytest.raises(Invalid, match=unit):
            create_verification(user, video, classifier, space=space, radius=-1.0)
