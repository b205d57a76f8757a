"""The first page: the team's verifications, and what to do while there are none."""

from collections.abc import Callable

import pytest
from django.test import Client

from tests.factories import make_team, make_user, make_verification, make_video
from tests.web.api_support import light_classifier
from verification.models import Team, Verification
from verification.pages.dashboard import PAGE_SIZE

pytestmark = pytest.mark.django_db

Make = Callable[..., Verification]


@pytest.fixture
def make(team: Team) -> Make:
    """Verifications of one video and one classifier, which takes no time."""
    video, classifier = make_video(team), light_classifier(team)
    return lambda **fields: make_verification(team, video=video, classifier=classifier, **fields)


def test_bounds_are_listed_rounded_to_their_safe_side(client, make):
    make(status="running", lower=0.123456, upper=1.50001, name="Carphone")
    page = client.get("/").content.decode()
    assert "Carphone" in page
    assert "0.1234" in page
    assert "1.501" in page
    assert ">12.16<" in page  # the ratio is 12.1502


def test_a_visitor_is_asked_to_log_in():
    answer = Client().get("/")
    assert answer.status_code == 302
    assert answer["Location"] == "/login/?next=/"


@pytest.mark.parametrize("has_video", [False, True])
def test_an_empty_list_names_the_next_step(client, team, has_video):
    if has_video:
        make_video(team)
    page = client.get("/").content.decode()
    assert "Nothing is verified yet" in page
    assert ("Upload a classifier" in page) is has_video
    assert ("Upload a video" in page) is not has_video


def test_with_both_files_the_next_step_is_to_start(client, team):
    make_video(team)
    light_classifier(team)
    assert 'href="/verifications/new/"' in client.get("/").content.decode()


def test_nothing_of_another_team_is_listed(make):
    make(name="Secret")
    stranger = make_user("mallory")
    make_team(stranger)
    client = Client()
    client.force_login(stranger)
    assert "Secret" not in client.get("/").content.decode()


def test_the_queue_position_counts_everybody_who_waits(client, make):
    make(name="First")
    make(name="Second")
    page = client.get("/").content.decode()
    assert "next in the queue" in page
    assert "1 before it" in page


@pytest.mark.parametrize(
    ("status", "radius", "words"),
    [
        ("running", None, "none found yet"),
        ("certified", 0.1, "none within the radius"),
        ("certified", None, "none exists"),  # all of a natural distortion is safe
        ("exhausted", None, "none found"),
    ],
)
def test_a_missing_upper_bound_says_why(client, make, status, radius, words):
    make(status=status, radius=radius, lower=0.1)
    assert words in client.get("/").content.decode()


def test_long_lists_have_pages(client, make):
    for number in range(PAGE_SIZE + 1):
        make(name=f"Run {number:02d}", status="exhausted")
    first, second = client.get("/").content.decode(), client.get("/?page=2").content.decode()
    assert "Run 25" in first
    assert "Run 00" not in first
    assert "Run 00" in second
    assert client.get("/?page=nonsense").status_code == 200


def test_a_list_that_moves_asks_for_itself_again_and_one_at_rest_does_not(client, make):
    one = make(status="running")
    assert "data-refresh" in client.get("/").content.decode()
    Verification.objects.filter(pk=one.pk).update(status="exhausted")
    assert "data-refresh" not in client.get("/").content.decode()
