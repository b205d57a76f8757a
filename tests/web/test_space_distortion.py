"""A natural distortion wherever people meet it: how it is asked for, and in which words and units it is answered."""

import html
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from flowverify.supervisor.progress import describe
from tests.factories import make_artifact, make_video
from tests.web.api_support import light_classifier, make_ended, signed_in
from verification.engine.perturbation import DISTORTIONS, Unit, distortion_spellings, unit_of
from verification.models import Artifact, Classifier, Team, Verification, Video
from verification.reports.explanations import explanations
from verification.reports.facts import Facts
from verification.reports.wording import headline, summary
from verification.services.errors import Invalid
from verification.services.verifications import create_verification

pytestmark = pytest.mark.django_db

FACTS = Facts(
    status="exhausted",
    frames=8,
    height=32,
    width=32,
    sampling="uniform",
    norm="l2",
    space="brightness",
    extractor="farneback",
    seconds=60.0,
    label="walks",
    confidence=0.9,
    lower=0.12,
    lower_grey_levels=1234.5678,
    upper=0.15,
    upper_label="runs",
    upper_confidence=0.5,
)
EXAMPLE: dict[str, Any] = {
    "distances": {"l1": 0.15, "l2": 0.15, "linf": 0.15},
    "shares": [0.5, 0.25, 0.25, 0.0],
    "quality": {"changed": 3, "psnr": 16.5, "psnr_worst": 16.4, "ssim": 0.8, "ssim_worst": 0.7},
    "survives_rounding": True,
    "grey_levels": {"l1": 115000.25, "l2": 2099.875, "linf": 38.25},
    "parameters": {"brightness": -0.15},
}
#: Everything that a report can be about, also with a place of its own and added up.
WRITTEN = [
    "brightness",
    "brightness:frames=2/3",
    "contrast",
    "gamma",
    "occlusion",
    "occlusion:size=8x8,at=anywhere,colour=white",
    "occlusion-size:at=3x4,colour=grey",
    "rotation",
    "scale",
    "speed",
    "brightness+contrast",
    "contrast+occlusion:size=4x4,at=0x0",
]


@pytest.fixture
def ended(team: Team) -> Verification:
    """Bounds 0.12 and 0.15 of brightness, with the pictures and the figures of such a run."""
    ended = make_ended(team, upper=0.15, lower=0.12, example=EXAMPLE, lower_grey_levels=1234.5678)
    ended.artifacts.exclude(kind=Artifact.Kind.FRAME).delete()
    for kind in (Artifact.Kind.PERTURBED_FRAME, Artifact.Kind.FRAME_DIFFERENCE):
        make_artifact(ended, kind=kind, flow=1)
    ended.bounds.update(lower=0.12, upper=0.15)
    Verification.objects.filter(pk=ended.pk).update(space="brightness", radius=0.5)
    ended.refresh_from_db()
    return ended


@pytest.fixture
def video(team: Team) -> Video:
    return make_video(team)


@pytest.fixture
def classifier(team: Team) -> Classifier:
    return light_classifier(team)


def read(client: Client, address: str) -> str:
    """The words of a page, without its scripts' properties."""
    page = client.get(address).content.decode()
    return html.unescape(re.sub(r'data-props="[^"]*"', "", page)).replace("\u00a0", " ")


def everything(facts: Facts) -> str:
    return " ".join([headline(facts), summary(facts), *(f"{one.title} {one.text}" for one in explanations(facts))])


def test_the_report_speaks_of_the_brightness_in_one_number() -> None:
    assert summary(FACTS) == (
        "The classifier sees “walks” in this clip (confidence 90 %). "
        "Every change of the brightness by at most 0.12 (30.6 grey levels) leaves the class at “walks”. "
        "This is a proof for all of them, not only for those that were tried. "
        "The class is also kept by every clip that such a change can make and that is less than 1234 grey levels away from the "
        "original in L2. "
        "A change of size 0.15 (38.25 grey levels) changes the class to “runs” (confidence 50 %); it is a concrete example. "
        "Between the two, a factor of 1.25, nothing is known. "
        "The budget of 1 min is spent."
    )
    assert headline(FACTS) == (
        "Proven safe up to 0.12 (30.6 grey levels); the class changes at 0.15 (38.25 grey levels)"
    )


@pytest.mark.parametrize(
    ("space", "claim"),
    [
        ("gamma", "Every change of the gamma by at most 0.12 doublings leaves"),
        ("contrast", "Every change of the contrast by at most 0.12 (12 %) leaves"),
        (
            "brightness:frames=2/3",
            "Every change of the brightness (brightness:frames=2/3) by at most 0.12 (30.6 grey levels) leaves",
        ),
        ("occlusion-size:at=3x4", "Every change of the side of the square (occlusion-size:at=3x4) by at most 0.12 px leaves"),
        (
            "occlusion:size=8x8,at=anywhere",
            "Every change of the opacity of the rectangle (occlusion:size=8x8,at=anywhere) by at most 0.12 (12 %), whatever "
            "down and across may be, leaves",
        ),
        (
            "brightness+contrast",
            "Every change of the brightness and the contrast together whose L2 size is at most 0.12 (12 %) leaves",
        ),
    ],
)  # fmt: skip
def test_a_claim_says_exactly_which_distortions_it_is_about(space: str, claim: str) -> None:
    assert claim in summary(replace(FACTS, space=space))


@pytest.mark.parametrize("space", WRITTEN)
@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_no_distortion_is_told_of_as_a_flow(space: str, norm: str) -> None:
    for status, lower, upper in [("running", 0.0, None), ("exhausted", 0.1, 0.2), ("certified", 0.1, None)]:
        text = everything(replace(FACTS, status=status, lower=lower, upper=upper, space=space, norm=norm, radius=0.1))
        assert "manipulat" not in text
        assert "flow" not in text.replace("No flow is imposed", "")
        assert (" px" in text) == (unit_of(space) is Unit.SIDE and lower > 0)


def test_a_new_distortion_is_told_of_as_well() -> None:
    assert set(DISTORTIONS) == {re.split("[:+]", space)[0] for space in WRITTEN}


def test_its_parameters_and_their_limits_are_explained() -> None:
    text = everything(replace(FACTS, space="brightness+contrast"))
    assert "parameters brightness from −1 to 1 and contrast from −1 to 7; where all are 0 the clip is as it was" in text
    assert (
        "the square root of the sum of the squares of its parameters brightness and contrast, in shares of the whole"
        in text
    )
    anywhere = everything(replace(FACTS, space="occlusion:at=anywhere,size=8x8"))
    assert "does not count what down and across are" in anywhere and "the same in every norm" in anywhere


def test_the_pages_say_the_unit_and_nothing_of_flows(client: Client, ended: Verification) -> None:
    page = read(client, f"/verifications/{ended.pk}/")
    assert "0.12 (30.6 grey levels)" in page and "0.15 (38.25 grey levels)" in page
    assert re.search(r"·\s+brightness, 4 frames, up to 0.5 \(127.5 grey levels\)", page)
    assert "every pixel" not in page and "all flows" not in page and "farneback" not in page
    assert "0.12 (30.6 grey levels)" in read(client, "/")
    assert describe(ended).startswith("lower bound 0.12 (30.6 grey levels) (proven)")


def test_the_report_page_shows_frames_parameters_and_grey_levels(client: Client, ended: Verification) -> None:
    page = read(client, f"/verifications/{ended.pk}/report/")
    assert "Lower bound, pixel value (grey levels)" in page and "Difference frame 1" in page
    assert "brightness −0.15 (−38.25 grey levels)" in page
    assert "<dt>Size</dt>\n      <dd>0.15 (38.25 grey levels)</dd>" in page
    assert "L1 115001 grey" not in page and "L1 115001, L2 2100, L∞ 38.25 grey levels" in page
    assert "1: 50 %, 2: 25 %, 3: 25 %, 4: 0 %" in page and "Share of each frame" in page
    assert "less than 1234 grey levels away from the original in L2" in page
    assert "flows that may change" not in page and "<dt>Distortion</dt>" in page
    assert "--space brightness" in page


def test_an_example_of_before_has_a_report(client: Client, ended: Verification) -> None:
    old = {name: value for name, value in EXAMPLE.items() if name not in {"grey_levels", "parameters"}}
    Verification.objects.filter(pk=ended.pk).update(example=old)
    page = read(client, f"/verifications/{ended.pk}/report/")
    assert "<dt>Size</dt>" in page and "Difference of the clips" not in page and "<dt>Parameter" not in page
    shown = signed_in(ended.team.members.get()).get(f"/api/v1/verifications/{ended.pk}/").json()["example"]
    assert (shown["grey_levels"], shown["parameters"]) == (None, None)


def test_the_islands_are_told_unit_and_parameters(client: Client, ended: Verification) -> None:
    page = client.get(f"/verifications/{ended.pk}/").content.decode()
    found = re.search(r'data-island="live" data-props="([^"]*)"', page)
    assert found is not None
    told = json.loads(html.unescape(found[1]))["verification"]
    assert told["distance_unit"] == "value" and told["example"] == EXAMPLE
    assert told["parameters"] == [{"name": "brightness", "least": -1.0, "most": 1.0, "counts": True}]
    assert told["lower_grey_levels"] == 1234.5678


def test_the_api_takes_every_spelling_and_says_its_unit(user: User, video: Video, classifier: Classifier) -> None:
    Classifier.objects.update(
        height=64, width=64, frames=12
    )  # so that the places in the examples lie within the frames
    body = {"video": str(video.pk), "classifier": str(classifier.pk)}
    for space in distortion_spellings():
        made = signed_in(user).post("/api/v1/verifications/", body | {"space": space}).json()
        assert (made["space"], made["distance_unit"], made["flows"]) == (space, unit_of(space).value, None)
        assert made["parameters"] and made["lower_grey_levels"] is None
    assert signed_in(user).post("/api/v1/verifications/", body | {"space": "dense"}).json()["parameters"] is None


@pytest.mark.parametrize(
    ("asked", "field", "message"),
    [
        ({"space": "brightness", "flows": [1]}, "flows", "leave the choice of flows at all"),
        ({"space": "brightness", "lower_method": "grid"}, "lower_method", "leave the proof at cells"),
        ({"space": "brightness", "lower_method": "root"}, "lower_method", "leave the proof at cells"),
        ({"space": "gamma", "upper_method": "finite-difference"}, "upper_method", "or the exact gradient"),
        ({"space": "brightness:frames=9"}, "space", "from 1 to 4"),
        ({"space": "brightness+gamma"}, "space", "linear in their parameters"),
        ({"space": "brightness+dense"}, "space", "natural distortion"),
        ({"space": "occlusion:at=15x15,size=4x4"}, "space", "does not lie within frames of 16x16"),
        ({"space": "brightness" + "+contrast" * 30}, "space", "more than 255 characters"),
        ({"space": "gamma", "radius": -1.0}, "radius", "doublings of a factor"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_at_its_field(
    user: User, video: Video, classifier: Classifier, asked: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(Invalid, match=re.escape(message)) as refusal:
        create_verification(user, video, classifier, **asked)
    assert refusal.value.field == field
    assert not Verification.objects.exists()


@pytest.mark.parametrize(
    ("typed", "space"),
    [
        ({"space": "brightness"}, "brightness"),
        ({"space": "brightness", "brightness-argument": " frames=2/3 "}, "brightness:frames=2/3"),
        ({"space": "occlusion", "occlusion-argument": "size=4x4,at=anywhere"}, "occlusion:size=4x4,at=anywhere"),
        ({"space": "gamma", "brightness-argument": "frames=2"}, "gamma"),
        ({"space": "sum", "sum-parts": "brightness+contrast"}, "brightness+contrast"),
    ],
)
def test_the_form_asks_for_it(
    client: Client, video: Video, classifier: Classifier, typed: dict[str, str], space: str
) -> None:
    answers = {"video": video.pk, "classifier": classifier.pk, "norm": "l2", "flows": "all", "seconds": 5, "seed": 0}
    assert client.post("/verifications/new/", answers | typed).status_code == 302
    assert Verification.objects.get().space == space


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"space": "brightness", "brightness-argument": "frame=2"}, "space", "written as in brightness:frames="),
        ({"space": "sum", "sum-parts": "brightness+gamma"}, "space", "linear in their parameters"),
        ({"space": "sum", "sum-parts": "dense"}, "space", "Say which distortions are added up"),
        ({"space": "sum"}, "space", "Say which distortions are added up"),
        ({"space": "brightness", "flows": "1,2"}, "flows", "leave the choice of flows at all"),
        ({"space": "contrast", "lower_method": "root"}, "lower_method", "leave the proof at cells"),
    ],
)
def test_the_form_says_what_is_wrong_and_keeps_what_was_typed(
    client: Client, video: Video, classifier: Classifier, typed: dict[str, str], field: str, message: str
) -> None:
    answers = {"video": video.pk, "classifier": classifier.pk, "norm": "l2", "flows": "all", "seconds": 5, "seed": 0}
    answer = client.post("/verifications/new/", answers | typed)
    assert answer.status_code == 400
    assert message in " ".join(answer.context["form"].errors[field])
    page = answer.content.decode()
    assert f'value="{typed["space"]}" checked' in page
    assert all(f'value="{text}"' in page for text in typed.values())
    assert not Verification.objects.exists()


@pytest.mark.parametrize(
    ("asked", "chosen", "typed"),
    [
        ("translation", "translation", None),
        ("blocks:3x4", "blocks", "3x4"),
        ("brightness", "brightness", None),
        ("occlusion:size=4x4,at=anywhere", "occlusion", "size=4x4,at=anywhere"),
        ("brightness+contrast+occlusion", "sum", "brightness+contrast+occlusion"),
        ("nowhere", "dense", None),
        ("sum", "dense", None),
        ("", "dense", None),
    ],
)
def test_a_link_chooses_the_space(
    client: Client, video: Video, classifier: Classifier, asked: str, chosen: str, typed: str | None
) -> None:
    page = client.get("/verifications/new/", {"space": asked}).content.decode()
    assert re.findall(r'name="space" value="([^"]*)" checked', page) == [chosen]
    assert typed is None or f'value="{typed}"' in page


def test_the_form_explains_every_distortion_apart_from_the_flows(
    client: Client, video: Video, classifier: Classifier
) -> None:
    page = html.unescape(client.get("/verifications/new/").content.decode())
    flows, natural = page.split("<h3>Natural distortions</h3>")
    for name, kind in DISTORTIONS.items():
        assert f'value="{name}"' in natural and f'value="{name}"' not in flows
        assert kind.summary in natural
    assert 'value="dense" checked required' in flows
    assert 'value="pixels" data-no-flow' in flows and 'value="gamma" data-no-flow' in natural
