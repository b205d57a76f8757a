"""The form that starts a verification."""

import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from tests.factories import make_classifier, make_team, make_user, make_video
from verification.engine.flow import EXTRACTORS
from verification.engine.flow.parameters import written
from verification.models import Classifier, Team, Verification, Video

pytestmark = pytest.mark.django_db
ADDRESS = "/verifications/new/"


@pytest.fixture
def video(team: Team) -> Video:
    return make_video(team, name="pan.avi")


@pytest.fixture
def classifier(team: Team) -> Classifier:
    return make_classifier(team, name="net.safetensors")


@pytest.fixture
def answers(video: Video, classifier: Classifier) -> dict[str, Any]:
    """The form filled in as the page offers it."""
    return {
        "video": str(video.pk),
        "classifier": str(classifier.pk),
        "name": "",
        "frames": "",
        "norm": "l2",
        "space": "dense",
        "flows": "all",
        "radius": "",
        "seconds": "60",
        "seed": "0",
    }


def test_the_form_starts_a_verification_and_leads_to_it(client, user, answers, video, classifier):
    answer = client.post(ADDRESS, answers)
    started = Verification.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == f"/verifications/{started.pk}/"
    assert (started.video, started.classifier, started.created_by) == (video, classifier, user)
    assert (started.frames, started.norm, started.space, started.flows) == (4, "l2", "dense", None)
    assert not started.certificate
    assert started.upper_method == "gradient"
    assert started.status == "queued"


def test_every_answer_counts(client, answers):
    chosen = {
        "name": "Mine",
        "frames": "4",
        "sampling": "floor",
        "norm": "linf",
        "space": "translation",
        "flows": "1, 2-3",
        "radius": "0.5",
        "query": "on",
        "certificate": "on",
        "lower_method": "grid",
        "tau": "0.25",
        "upper_method": "finite-difference",
        "seconds": "5.5",
        "seed": "7",
    }
    client.post(ADDRESS, answers | chosen)
    started = Verification.objects.get()
    assert (started.name, started.norm, started.space) == ("Mine", "linf", "translation")
    assert (started.frames, started.sampling) == (4, "floor")
    assert (started.query, started.certificate) == (True, True)
    assert (started.lower_method, started.tau) == ("grid", 0.25)
    assert started.upper_method == "finite-difference"
    assert (started.flows, started.radius, started.seconds, started.seed) == ([1, 2, 3], 0.5, 5.5, 7)


@pytest.mark.parametrize(
    ("typed", "space"),
    [
        ({"space": "blocks", "blocks": " 2x3 "}, "blocks:2x3"),
        ({"space": "moving", "still": "0.75"}, "moving:0.75"),
        ({"space": "affine", "blocks": "2x3", "still": "0.75"}, "affine"),
    ],
)
def test_a_space_is_asked_for_with_what_it_needs_to_know(client, answers, typed, space):
    client.post(ADDRESS, answers | typed)
    assert Verification.objects.get().space == space


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"space": "blocks", "blocks": "two"}, "such as blocks:2x2; not blocks:two"),
        ({"space": "blocks"}, "such as blocks:2x2; not blocks:"),
        ({"space": "blocks", "blocks": "99x1"}, "not 99x1"),
        ({"space": "moving", "still": "1.5"}, "at least 0 and below 1"),
    ],
)
def test_what_a_space_cannot_use_is_explained_at_the_spaces(client, answers, typed, message):
    answer = client.post(ADDRESS, answers | typed)
    assert answer.status_code == 400
    assert message in " ".join(answer.context["form"].errors["space"])
    assert f'value="{typed["space"]}" checked' in answer.content.decode()
    assert not Verification.objects.exists()


@pytest.mark.parametrize(
    ("typed", "extractor"),
    [
        ({}, "farneback"),
        ({"extractor": ""}, "farneback"),
        ({"extractor": "lucas-kanade", "lucas-kanade-parameters": ""}, "lucas-kanade"),
        ({"extractor": "dis", "dis-parameters": " delta = 0 "}, "dis:delta=0"),
        ({"extractor": "farneback", "farneback-parameters": "winsize=21, levels=3"}, "farneback:winsize=21"),
        ({"extractor": "horn-schunck", "farneback-parameters": "winsize=21"}, "horn-schunck"),
    ],
)
def test_an_extractor_is_chosen_with_its_parameters(client, answers, typed, extractor):
    client.post(ADDRESS, answers | typed)
    assert Verification.objects.get().extractor == extractor


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"extractor": "magic"}, "Select a valid choice"),
        ({"extractor": "dis", "dis-parameters": "winsize=21"}, "no parameter 'winsize'; it has finest_scale"),
        ({"extractor": "dis", "dis-parameters": "delta=-1"}, "a number from 0 to 1000, not '-1'"),
        ({"extractor": "dis", "dis-parameters": "much"}, "written as in dis:"),
    ],
)
def test_what_an_extractor_cannot_use_is_explained_and_stays(client, answers, typed, message):
    answer = client.post(ADDRESS, answers | typed)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert message in " ".join(answer.context["form"].errors["extractor"])
    assert message.replace("'", "&#x27;") in page
    assert all(f'value="{text}"' in page for text in typed.values() if text != "magic")
    assert not Verification.objects.exists()


def test_the_form_explains_every_parameter_with_its_default_and_its_limits(client, video, classifier):
    page = client.get(ADDRESS).content.decode()
    assert 'value="farneback" checked' in page
    for extractor in EXTRACTORS.values():
        for key, parameter in extractor.parameters().items():
            default = written(extractor.defaults()[key])
            assert f"<code>{key}={default}</code></dt><dd>{parameter.purpose} ({parameter.limits})" in page


def test_parameters_are_hidden_until_their_choice_is_made(client, video, classifier):
    rules = (settings.BASE_DIR / "frontend" / "src" / "styles" / "forms.css").read_text()
    assert ".option:not(:has(input:checked)) + .option-detail { display: none; }" in rules
    page = client.get(ADDRESS).content.decode()
    fields = {name: f"{name}-parameters" for name in EXTRACTORS} | {
        "blocks": "blocks",
        "brightness": "brightness-argument",
    }
    for name, field in fields.items():
        behind = page.partition(f'value="{name}"')[2].partition("</label>")[2]
        assert re.match(rf'\s*<div class="option-detail"><div class="field">\s*<label for="id_{field}"', behind), name


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("video", "", "Choose a video."),
        ("classifier", "", "Choose a classifier."),
        ("frames", "1", "at least 2 frames"),
        ("frames", "1000", "fewer than the 1000 asked for"),
        ("sampling", "often", "choose uniform, floor or fps:X"),
        ("norm", "l7", "Select a valid choice"),
        ("space", "nowhere", "Select a valid choice"),
        ("flows", "one", "“one” is not a flow number"),
        ("flows", "5-2", "runs backwards"),
        ("flows", "1-999999999", "There is no flow 999999999"),
        ("flows", ",", "numbers and ranges"),
        ("flows", "0", "0 does not exist"),
        ("flows", "4", "4 does not exist"),
        ("radius", "0", "above zero"),
        ("radius", "-1", "above zero"),
        ("radius", "nan", "Enter a number"),
        ("seconds", "", "Say after how many seconds"),
        ("seconds", "0", "above zero"),
        ("seconds", "1e9", "at most"),
        ("seed", "-1", "whole number"),
        ("seed", "half", "whole number"),
    ],
)
def test_a_wrong_answer_is_explained_and_nothing_is_started(client, answers, field, value, message):
    answer = client.post(ADDRESS, answers | {field: value})
    assert answer.status_code == 400
    assert message in " ".join(answer.context["form"].errors[field])
    assert message.replace("'", "&#x27;") in answer.content.decode()
    assert not Verification.objects.exists()


def test_what_was_typed_stays_in_the_form(client, answers):
    page = client.post(ADDRESS, answers | {"name": "Keep me", "norm": "l1", "radius": "-1"}).content.decode()
    assert 'value="Keep me"' in page
    assert 'value="l1" checked' in page


def test_files_of_another_team_cannot_be_chosen(client, answers):
    foreign = make_video(make_team(make_user("mallory")), name="secret.avi")
    assert "secret.avi" not in client.get(ADDRESS).content.decode()
    answer = client.post(ADDRESS, answers | {"video": str(foreign.pk)})
    assert answer.status_code == 400
    assert "Your team does not have this video." in answer.content.decode()
    assert not Verification.objects.exists()


def test_a_link_from_a_list_chooses_its_file(client, team, video, classifier):
    make_video(team, name="newer.avi")
    page = client.get(ADDRESS, {"video": str(video.pk)}).content.decode()
    assert f'value="{video.pk}" selected' in page


def test_of_very_many_videos_the_newest_are_offered_and_any_is_accepted(client, team, answers, video, classifier):
    Video.objects.bulk_create(
        Video(team=team, name=f"run {i}.avi", sha256=f"{i:064}", bytes=1, frames=9, fps=1, height=9, width=9)
        for i in range(250)
    )
    page = client.get(ADDRESS).content.decode()
    assert page.count("run ") == 200
    assert video.name not in page
    assert video.name in client.get(ADDRESS, {"video": str(video.pk)}).content.decode()
    assert client.post(ADDRESS, answers).status_code == 302


@pytest.mark.parametrize("nonsense", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_link_with_a_file_that_is_not_there_still_opens_the_form(client, video, classifier, nonsense):
    assert client.get(ADDRESS, {"video": nonsense}).status_code == 200


def test_without_files_the_page_says_what_is_missing(client, team):
    page = client.get(ADDRESS).content.decode()
    assert "Upload a video" in page
    assert "Upload a classifier" in page
    assert "<select" not in page


def test_a_visitor_starts_nothing(answers):
    assert Client().post(ADDRESS, answers)["Location"].startswith("/login/")
    assert not Verification.objects.exists()
