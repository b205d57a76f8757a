"""Logging in and out, and the pages for what went wrong."""

import pytest
from django.test import Client, override_settings
from django.urls import path

from flowverify.urls import urlpatterns as site
from tests.factories import PASSWORD, make_team, make_user

pytestmark = pytest.mark.django_db


def broken(request):
    raise RuntimeError("a secret detail")


urlpatterns = [*site, path("broken/", broken)]


def test_a_person_logs_in_and_out():
    make_team(make_user("ada"))
    client = Client()
    assert client.post("/login/", {"username": "ada", "password": PASSWORD})["Location"] == "/"
    page = client.get("/").content.decode()
    assert "Log out" in page
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_a_wrong_password_is_explained_without_saying_which_part_is_wrong():
    make_user("ada")
    client = Client()
    wrong = client.post("/login/", {"username": "ada", "password": "nonsense"}).content.decode()
    unknown = client.post("/login/", {"username": "nobody", "password": "nonsense"}).content.decode()
    for page in (wrong, unknown):
        assert "user name or the password is not right" in page


def test_the_login_leads_nowhere_outside():
    make_team(make_user("ada"))
    form = {"username": "ada", "password": PASSWORD, "next": "https://elsewhere.example/"}
    assert Client().post("/login/", form)["Location"] == "/"


def test_an_unknown_address_has_a_page_of_its_own():
    answer = Client().get("/nothing/here/")
    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.content.decode()


def test_a_form_without_its_token_is_refused_in_words():
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/login/", {"username": "ada", "password": PASSWORD})
    assert answer.status_code == 403
    assert "The form has grown old" in answer.content.decode()


@override_settings(ROOT_URLCONF=__name__)
def test_a_broken_page_shows_no_details():
    client = Client(raise_request_exception=False)
    answer = client.get("/broken/")
    assert answer.status_code == 500
    page = answer.content.decode()
    assert "Something broke on the server" in page
    assert "secret detail" not in page
    assert "Traceback" not in page
