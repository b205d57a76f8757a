"""Verifications over the API: ask, list, read, follow, stop, delete."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from dramatiq.brokers.stub import StubBroker
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from tests.factories import add_bounds, make_classifier, make_user, make_video
from tests.web.api_support import light_classifier, make_ended, make_queued, make_running, signed_in
from verification.api import verifications as endpoints
from verification.api.serializers import verification_payload
from verification.models import Artifact, Bound, Event, Team, Verification

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def client(user: User) -> APIClient:
    return signed_in(user)


def test_create_queues_the_question(
    client: APIClient,
    team: Team,
    broker: StubBroker,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    body = {
        "video": str(make_video(team).pk),
        "classifier": str(light_classifier(team).pk),
        "norm": "linf",
        "space": "translation",
        "flows": [3, 1],
        "radius": 0.5,
        "seconds": 30,
        "seed": 7,
        "certificate": True,
        "upper_method": "finite-difference",
        "name": "Hall camera",
    }
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post("/api/v1/verifications/", body)
    assert response.status_code == 201
    made = response.json()
    assert made | body | {"flows": [1, 3]} == made
    assert (made["status"], made["frames"], made["sampling"]) == ("queued", 4, "uniform")
    assert broker.queues["default"].qsize() == 1


def test_create_takes_what_is_left_out_from_the_classifier_and_the_defaults(client: APIClient, team: Team) -> None:
    body = {"video": str(make_video(team).pk), "classifier": str(light_classifier(team).pk)}
    made = client.post("/api/v1/verifications/", body).json()
    assert (made["norm"], made["space"], made["flows"], made["radius"]) == ("l2", "dense", None, None)
    assert (made["seconds"], made["certificate"]) == (60.0, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("radius", 0),
        ("radius", -1.5),
        ("seconds", 0),
        ("frames", 1),
        ("frames", 10_000),
        ("flows", [4]),
        ("flows", []),
        ("flows", ["first"]),
        ("norm", "l3"),
        ("space", "spiral"),
        ("space", "blocks:0x1"),
        ("space", "moving:2"),
        ("sampling", "backwards"),
        ("seed", -1),
        ("extractor", "magic"),
        ("extractor", "farneback:winsize=0"),
        ("extractor", ""),
        ("upper_method", "guess"),
        ("device", "abacus"),
        ("video", "00000000-0000-4000-8000-000000000000"),
        ("classifier", "not an id"),
    ],
)
def test_create_names_the_field_that_is_wrong_and_keeps_nothing(
    client: APIClient, team: Team, field: str, value: Any
) -> None:
    body: dict[str, Any] = {"video": str(make_video(team).pk), "classifier": str(light_classifier(team).pk)}
    response = client.post("/api/v1/verifications/", body | {field: value})
    assert response.status_code == 400
    assert list(response.json()) == [field]
    assert Verification.objects.count() == 0


def test_an_extractor_with_parameters(client: APIClient, team: Team) -> None:
    sources = {"video": str(make_video(team).pk), "classifier": str(light_classifier(team).pk)}
    body = sources | {"extractor": "farneback:winsize=21,levels=3"}
    made = client.post("/api/v1/verifications/", body).json()
    assert made["extractor"] == "farneback:winsize=21"


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity"])
def test_numbers_beyond_all_bounds_are_refused(client: APIClient, team: Team, number: str) -> None:
    sources = {"video": str(make_video(team).pk), "classifier": str(light_classifier(team).pk)}
    body = json.dumps(sources)[:-1] + f', "radius": {number}}}'
    response = client.post("/api/v1/verifications/", body, content_type="application/json")
    assert response.status_code == 400


def test_another_length_of_clip_is_refused_if_the_classifier_cannot_take_it(client: APIClient, team: Team) -> None:
    body = {"video": str(make_video(team).pk), "classifier": str(make_classifier(team).pk), "frames": 40}
    response = client.post("/api/v1/verifications/", body)
    assert response.status_code == 400
    assert "frames" in response.json()


def test_only_json_is_read(client: APIClient, team: Team) -> None:
    sources = {"video": str(make_video(team).pk), "classifier": str(light_classifier(team).pk)}
    assert client.post("/api/v1/verifications/", sources, format="multipart").status_code == 415


def test_json_nested_beyond_all_bounds_is_the_senders_mistake(client: APIClient, team: Team) -> None:
    answer = client.post("/api/v1/verifications/", "[" * 100_000, content_type="application/json")
    assert answer.status_code == 400
    assert "nested too deeply" in answer.json()["detail"]


def test_read_says_what_each_number_is_worth(client: APIClient, team: Team) -> None:
    verification = make_ended(team)
    found = client.get(f"/api/v1/verifications/{verification.pk}/").json()
    assert (found["lower"], found["lower_guarantee"]) == (0.25, "sound")
    assert (found["upper"], found["upper_guarantee"]) == (2.0, "empirical")
    assert found["ratio"] == 8.0
    assert (found["label_name"], found["upper_label_name"]) == ("left", "right")
    assert found["video_sha256"] == verification.video.sha256


def test_there_is_no_ratio_while_one_bound_says_nothing(client: APIClient, team: Team) -> None:
    for verification in (make_ended(team, lower=0.0), make_ended(team, upper=None)):
        assert client.get(f"/api/v1/verifications/{verification.pk}/").json()["ratio"] is None


def test_addresses_in_the_answer_lead_somewhere(client: APIClient, team: Team) -> None:
    found = client.get(f"/api/v1/verifications/{make_ended(team).pk}/").json()
    for name, url in found["urls"].items():
        assert client.get(url).status_code == 200, name


def test_the_payload_of_sockets_is_the_answer_of_the_api(client: APIClient, team: Team) -> None:
    verification = make_ended(team, flows=[1, 2])
    answer = client.get(f"/api/v1/verifications/{verification.pk}/").json()
    assert json.loads(json.dumps(verification_payload(verification))) == answer


def test_lists_can_be_filtered(client: APIClient, team: Team) -> None:
    ended, running = make_ended(team, norm="linf"), make_running(team)
    queries = {
        "status=running": {running},
        "status__in=running,exhausted": {ended, running},
        "norm=linf": {ended},
        "space=translation": set(),
        f"video={running.video_id}": {running},
        f"classifier={ended.classifier_id}": {ended, running},
    }
    for query, expected in queries.items():
        found = client.get(f"/api/v1/verifications/?{query}").json()["results"]
        assert {row["id"] for row in found} == {str(item.pk) for item in expected}, query


@pytest.mark.parametrize("query", ["status=asleep", "video=7", "page=99"])
def test_filters_that_make_no_sense_are_refused(client: APIClient, team: Team, query: str) -> None:
    assert client.get(f"/api/v1/verifications/?{query}").status_code in {400, 404}


def test_lists_can_be_ordered(client: APIClient, team: Team) -> None:
    for upper in (2.0, 1.0, 3.0):
        make_ended(team, upper=upper)
    found = client.get("/api/v1/verifications/?ordering=upper").json()["results"]
    assert [row["upper"] for row in found] == [1.0, 2.0, 3.0]


def test_lists_come_in_pages_with_few_queries(
    client: APIClient, team: Team, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(3):
        make_ended(team)
    with django_assert_max_num_queries(6):
        page = client.get("/api/v1/verifications/?page_size=2").json()
    assert (page["count"], len(page["results"])) == (3, 2)
    assert len(client.get(page["next"]).json()["results"]) == 1


def test_bounds_go_on_after_a_number(client: APIClient, team: Team) -> None:
    verification = make_running(team)
    add_bounds(verification, [(number / 10, 0.001 * number, None) for number in range(1, 6)])
    address = f"/api/v1/verifications/{verification.pk}/bounds/"
    everything = client.get(address).json()
    assert [point["number"] for point in everything["results"]] == [1, 2, 3, 4, 5]
    assert everything["results"][1] == {
        "number": 2,
        "seconds": 0.2,
        "lower": 0.002,
        "upper": None,
        "source": "lower",
    }
    rest = client.get(address, {"after": 3}).json()
    assert [point["number"] for point in rest["results"]] == [4, 5]
    assert (rest["next_after"], rest["more"]) == (5, False)
    assert client.get(address, {"after": 5}).json() == {"results": [], "next_after": 5, "more": False}


def test_a_long_history_comes_in_several_answers(
    client: APIClient, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MOST_ROWS", 4)
    verification = make_running(team)
    add_bounds(verification, [(float(number), 0.001 * number, None) for number in range(1, 11)])
    numbers, after, more = [], 0, True
    while more:
        answer = client.get(f"/api/v1/verifications/{verification.pk}/bounds/?after={after}").json()
        assert len(answer["results"]) <= 4
        numbers += [point["number"] for point in answer["results"]]
        after, more = answer["next_after"], answer["more"]
    assert numbers == list(range(1, 11))


@pytest.mark.parametrize("after", ["-1", "soon", "1.5"])
def test_after_must_be_a_number(client: APIClient, team: Team, after: str) -> None:
    verification = make_running(team)
    response = client.get(f"/api/v1/verifications/{verification.pk}/bounds/", {"after": after})
    assert response.status_code == 400
    assert "after" in response.json()


def test_events_go_on_after_a_number(client: APIClient, team: Team) -> None:
    verification = make_running(team)
    for number in (1, 2):
        Event.objects.create(verification=verification, number=number, seconds=number, text=f"Step {number}")
    answer = client.get(f"/api/v1/verifications/{verification.pk}/events/?after=1").json()
    assert answer["results"] == [{"number": 2, "seconds": 2.0, "text": "Step 2"}]


def test_artifacts_are_listed_with_kind_flow_and_address(client: APIClient, team: Team) -> None:
    verification = make_ended(team)
    (found,) = client.get(f"/api/v1/verifications/{verification.pk}/artifacts/").json()
    assert (found["kind"], found["flow"], found["revision"]) == ("frame", 1, 1)
    assert client.get(found["url"]).status_code == 200


def test_cancel_ends_a_queued_verification_at_once(client: APIClient, team: Team) -> None:
    verification = make_queued(team)
    response = client.post(f"/api/v1/verifications/{verification.pk}/cancel/")
    assert (response.status_code, response.json()["status"]) == (200, "cancelled")


def test_cancel_asks_a_running_one_to_stop(client: APIClient, team: Team) -> None:
    verification = make_running(team)
    answer = client.post(f"/api/v1/verifications/{verification.pk}/cancel/").json()
    assert (answer["status"], answer["cancel_requested"]) == ("running", True)


def test_cancelling_what_has_ended_is_a_conflict(client: APIClient, team: Team) -> None:
    response = client.post(f"/api/v1/verifications/{make_ended(team).pk}/cancel/")
    assert response.status_code == 409
    assert "ended" in response.json()["detail"]


def test_delete_removes_rows_and_files(
    client: APIClient, team: Team, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    verification = make_ended(team)
    artifact = verification.artifacts.get()
    with django_capture_on_commit_callbacks(execute=True):
        response = client.delete(f"/api/v1/verifications/{verification.pk}/")
    assert response.status_code == 204
    assert not Artifact.objects.exists()
    assert not Bound.objects.exists()
    assert not artifact.file.storage.exists(str(artifact.file.name))


@pytest.mark.parametrize("make", [make_queued, make_running])
def test_what_has_not_ended_cannot_be_deleted(client: APIClient, team: Team, make: Callable[..., Any]) -> None:
    verification = make(team)
    response = client.delete(f"/api/v1/verifications/{verification.pk}/")
    assert response.status_code == 409
    assert "cancel it first" in response.json()["detail"]
    assert Verification.objects.filter(pk=verification.pk).exists()


@pytest.mark.parametrize("kind", ["video", "classifier"])
def test_what_a_verification_uses_cannot_be_deleted(client: APIClient, team: Team, kind: str) -> None:
    used = getattr(make_ended(team), kind)
    response = client.delete(f"/api/v1/{kind}s/{used.pk}/")
    assert response.status_code == 409
    assert "A verification uses" in response.json()["detail"]
    assert used.file.storage.exists(used.file.name)


@pytest.mark.parametrize(("kind", "make"), [("video", make_video), ("classifier", light_classifier)])
def test_what_nothing_uses_is_deleted_with_its_file(
    client: APIClient,
    team: Team,
    kind: str,
    make: Callable[..., Any],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    unused = make(team)
    with django_capture_on_commit_callbacks(execute=True):
        assert client.delete(f"/api/v1/{kind}s/{unused.pk}/").status_code == 204
    assert client.get(f"/api/v1/{kind}s/{unused.pk}/").status_code == 404
    assert not unused.file.storage.exists(unused.file.name)
