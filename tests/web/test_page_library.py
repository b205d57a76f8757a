"""The lists of videos and classifiers, and the page of each."""

import html
import json
import re

import pytest
from django.test import Client

from tests.factories import make_team, make_user, make_video
from tests.web.api_support import light_classifier, make_ended
from verification.models import Classifier, Video

pytestmark = pytest.mark.django_db


@pytest.fixture
def stranger() -> Client:
    other = make_user("mallory")
    make_team(other)
    client = Client()
    client.force_login(other)
    return client


def test_videos_are_listed_newest_first(client, team):
    make_video(team, name="older.avi")
    make_video(team, name="newer.avi")
    page = client.get("/videos/").content.decode()
    assert page.index("newer.avi") < page.index("older.avi")
    assert "64 × 48" in page


def test_videos_are_searched_by_name_and_class(client, team):
    make_video(team, name="v_Diving_g01_c01.avi", frames=2)
    Video.objects.update(class_name="Diving")
    make_video(team, name="street.avi", frames=2)
    listed = {query: client.get("/videos/", {"q": query}).content.decode() for query in ("diving", "STREET", "cat")}
    assert "v_Diving" in listed["diving"] and "street.avi" not in listed["diving"]
    assert "street.avi" in listed["STREET"] and "v_Diving" not in listed["STREET"]
    assert "No video of the team has “cat”" in listed["cat"]


def test_a_search_goes_on_over_its_pages(client, team):
    Video.objects.bulk_create(
        Video(team=team, name=f"run {i}.avi", sha256=f"{i:064}", bytes=1, frames=9, fps=1, height=9, width=9)
        for i in range(60)
    )
    page = client.get("/videos/", {"q": "run", "page": 2}).content.decode()
    assert "Page 2 of 2" in page
    assert 'href="?q=run&amp;page=1"' in page


def test_classifiers_are_listed(client, team):
    light_classifier(team, "net.safetensors")
    page = client.get("/classifiers/").content.decode()
    assert "net.safetensors" in page
    assert "4 frames, 16 × 16 px" in page


@pytest.mark.parametrize("kind", ["video", "classifier"])
def test_the_upload_goes_to_the_current_team(client, team, kind):
    page = client.get(f"/{kind}s/").content.decode()
    found = re.search(r'data-island="upload" data-props="([^"]*)"', page)
    assert found
    props = json.loads(html.unescape(found[1]))
    assert props["team"] == str(team.pk)
    assert (props["kind"], props["endpoint"], props["refresh"]) == (kind, "/api/v1/uploads/", f"{kind}s")
    assert f'id="{kind}s"' in page


@pytest.mark.parametrize("kind", ["video", "classifier"])
def test_an_empty_list_says_what_to_upload(client, team, kind):
    assert f"No {kind}s yet" in client.get(f"/{kind}s/").content.decode()


def test_the_page_of_a_video_shows_its_hash_and_its_use(client, team):
    ended = make_ended(team, name="Carphone run")
    page = client.get(f"/videos/{ended.video_id}/").content.decode()
    assert ended.video.sha256 in page
    assert "Carphone run" in page
    assert "data-confirm" not in page  # what is used cannot be deleted


def test_the_page_of_a_classifier_shows_its_labels(client, team):
    classifier = light_classifier(team)
    page = client.get(f"/classifiers/{classifier.pk}/").content.decode()
    assert ", ".join(classifier.labels) in page


def test_nothing_of_another_team_is_shown_or_deleted(stranger, team):
    video, classifier = make_video(team, name="secret.avi"), light_classifier(team, "secret.safetensors")
    for kind, item in (("videos", video), ("classifiers", classifier)):
        assert "secret" not in stranger.get(f"/{kind}/").content.decode()
        assert stranger.get(f"/{kind}/{item.pk}/").status_code == 404
        assert stranger.post(f"/{kind}/{item.pk}/delete/").status_code == 404
    assert Video.objects.exists()
    assert Classifier.objects.exists()


def test_an_unused_file_can_be_deleted(client, team):
    video, classifier = make_video(team), light_classifier(team)
    assert client.post(f"/videos/{video.pk}/delete/")["Location"] == "/videos/"
    assert client.post(f"/classifiers/{classifier.pk}/delete/")["Location"] == "/classifiers/"
    assert not Video.objects.exists()
    assert not Classifier.objects.exists()


def test_a_used_file_is_kept_and_the_reason_given(client, team):
    ended = make_ended(team)
    for address in (f"/videos/{ended.video_id}/delete/", f"/classifiers/{ended.classifier_id}/delete/"):
        assert "delete what uses it first" in client.post(address, follow=True).content.decode()
    ended.refresh_from_db()


@pytest.mark.parametrize("address", ["/videos/", "/classifiers/"])
def test_a_visitor_is_asked_to_log_in(address):
    assert Client().get(address)["Location"] == f"/login/?next={address}"
